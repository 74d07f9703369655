#!/usr/bin/env python3
"""The other side of the JOSE tests: jwcrypto and joserfc, which know nothing of vConductor.

    jose.py verify|sign|decrypt|encrypt LIBRARY FOLDER

Reads input.vcon, key.pem, public.pem, chain.pem and parameters.json in FOLDER, writes output.vcon there.
"""

import base64
import json
import pathlib
import sys


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def x5c(chain: str) -> list:
    parts = chain.split("-----BEGIN CERTIFICATE-----")[1:]
    return ["".join(part.split("-----END")[0].split()) for part in parts]


class Jwcrypto:
    def __init__(self, folder):
        from jwcrypto import jwk
        self.private = jwk.JWK.from_pem((folder / "key.pem").read_bytes())
        self.public = jwk.JWK.from_pem((folder / "public.pem").read_bytes())

    def verify(self, document):
        from jwcrypto import jws
        token = jws.JWS()
        token.deserialize(json.dumps(document))
        token.verify(self.public)
        return token.payload

    def sign(self, payload, algorithm, header):
        from jwcrypto import jws
        token = jws.JWS(payload)
        token.add_signature(self.private, None, json.dumps({"alg": algorithm}), json.dumps(header))
        document = json.loads(token.serialize())
        if "signatures" not in document:
            parts = {name: document.pop(name) for name in ("header", "protected", "signature")}
            document["signatures"] = [parts]
        return document

    def decrypt(self, document):
        from jwcrypto import jwe
        token = jwe.JWE(algs=["RSA-OAEP", "RSA-OAEP-256", "A256CBC-HS512", "A256GCM"])
        token.deserialize(json.dumps(document), self.private)
        return token.payload

    def encrypt(self, plaintext, algorithm, encryption, uuid):
        from jwcrypto import jwe
        token = jwe.JWE(plaintext, json.dumps({"enc": encryption}), json.dumps({"uuid": uuid, "cty": "application/vcon"}))
        token.add_recipient(self.public, json.dumps({"alg": algorithm}))
        document = json.loads(token.serialize())
        if "recipients" not in document:
            document["recipients"] = [{name: document.pop(name) for name in ("header", "encrypted_key")}]
        return document


class Joserfc:
    ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]

    def __init__(self, folder):
        from joserfc import jwk
        private = (folder / "key.pem").read_bytes()
        public = (folder / "public.pem").read_bytes()
        kind = json.loads((folder / "parameters.json").read_text())["kind"]
        self.private = jwk.import_key(private, kind)
        self.public = jwk.import_key(public, kind)

    def verify(self, document):
        from joserfc import jws
        # Its registry wants to know the names of our headers, among them the private one of the draft.
        token = jws.deserialize_json(document, self.public, algorithms=self.ALGORITHMS, registry=self.signatures())
        return token.payload

    def signatures(self):
        from joserfc import jws
        from joserfc.registry import HeaderParameter
        return jws.JWSRegistry(
            header_registry={"uuid": HeaderParameter("uuid", "str")}, algorithms=self.ALGORITHMS, strict_check_header=True
        )

    def sign(self, payload, algorithm, header):
        from joserfc import jws
        members = [{"protected": {"alg": algorithm}, "header": header}]
        return jws.serialize_json(members, payload, self.private, algorithms=self.ALGORITHMS, registry=self.signatures())

    def encryptions(self):
        from joserfc import jwe
        from joserfc.registry import HeaderParameter
        return jwe.JWERegistry(
            header_registry={"uuid": HeaderParameter("uuid", "str")},
            algorithms=["RSA-OAEP", "RSA-OAEP-256", "A256CBC-HS512", "A256GCM"],
        )

    def decrypt(self, document):
        from joserfc import jwe
        return jwe.decrypt_json(document, self.private, registry=self.encryptions()).plaintext

    def encrypt(self, plaintext, algorithm, encryption, uuid):
        from joserfc import jwe
        token = jwe.GeneralJSONEncryption({"enc": encryption}, plaintext, {"uuid": uuid, "cty": "application/vcon"})
        token.add_recipient({"alg": algorithm}, self.public)
        return jwe.encrypt_json(token, None, registry=self.encryptions())


def main():
    what, library, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    side = {"jwcrypto": Jwcrypto, "joserfc": Joserfc}[library](folder)
    given = (folder / "input.vcon").read_bytes()
    parameters = json.loads((folder / "parameters.json").read_text())
    if what == "verify":
        result = side.verify(json.loads(given))
    elif what == "sign":
        header = {"x5c": x5c((folder / "chain.pem").read_text()), "uuid": parameters["uuid"]}
        result = json.dumps(side.sign(given, parameters["algorithm"], header)).encode()
    elif what == "decrypt":
        result = side.decrypt(json.loads(given))
    else:
        document = side.encrypt(given, parameters["algorithm"], parameters["encryption"], parameters["uuid"])
        result = json.dumps(document).encode()
    (folder / "output.vcon").write_bytes(result)


if __name__ == "__main__":
    main()
