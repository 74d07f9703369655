#!/usr/bin/env python3
"""Runs a link of vcon-server as a process of vConductor's `links.exec`.

    links:
      word_count:
        module: links.exec
        options:
          command: [python3, examples/exec/vcon_link_adapter.py, word_count]
          options: {analysis_type: word_count}

The argument is the link's module; folders to look in are this file's, the current one and those of PYTHONPATH (pass it
with `env`). The link is used as it is: `run(vcon_uuid, link_name, opts)`, with these modules standing in for those of
vcon-server, with and without `server.` or `common.` in front:

    lib.vcon_redis      VconRedis: get_vcon, store_vcon, get_vcon_dict, store_vcon_dict
    vcon                Vcon
    lib.logging_utils, lib.metrics, lib.error_tracking      when vcon-server's own are not found

A falsy return value stops the chain, another uuid switches to that vCon, an exception is a permanent error (a retryable
one for Python's ConnectionError and TimeoutError). Prints go to standard error. Standard library only, Python 3.9+.
"""

import copy
import importlib
import importlib.util
import json
import logging
import os
import sys
import traceback
import types
import uuid as uuid_module
from datetime import datetime, timezone


class Vcon:
    """A vCon as links of vcon-server know it."""

    def __init__(self, vcon_dict=None):
        self.vcon_dict = copy.deepcopy(vcon_dict) if vcon_dict else {}

    @classmethod
    def build_from_json(cls, json_string):
        return cls(json.loads(json_string))

    @classmethod
    def build_new(cls):
        created_at = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
        lists = {name: [] for name in ("parties", "dialog", "attachments", "analysis")}
        return cls({"uuid": str(uuid_module.uuid4()), "vcon": "0.4.0", "created_at": created_at, **lists})

    def _list(self, name):
        if self.vcon_dict.get(name) is None:
            self.vcon_dict[name] = []
        return self.vcon_dict[name]

    def _find(self, name, matches):
        return next((one for one in self.vcon_dict.get(name) or [] if isinstance(one, dict) and matches(one)), None)

    @staticmethod
    def _as_text(body, encoding):
        if isinstance(body, (dict, list)):
            return json.dumps(body), "json"
        if encoding not in ("none", "json", "base64url"):
            raise ValueError(f"encoding {encoding!r} is not json, none or base64url")
        if encoding == "json":
            json.loads(body)
        return body, encoding

    # Tags

    @property
    def tags(self):
        return self.find_attachment_by_purpose("tags")

    def _tag_list(self):
        body = (self.tags or {}).get("body") or []
        return json.loads(body) if isinstance(body, str) else list(body)

    def get_tag(self, tag_name):
        prefix = f"{tag_name}:"
        return next((tag[len(prefix):] for tag in self._tag_list() if str(tag).startswith(prefix)), None)

    def add_tag(self, tag_name, tag_value):
        tags, tag = self._tag_list(), f"{tag_name}:{tag_value}"
        # A link that runs again after a crash adds nothing twice.
        if tag in tags:
            return
        attachment = self.tags
        if attachment is None:
            attachment = {"purpose": "tags"}
            self._list("attachments").append(attachment)
        attachment["body"], attachment["encoding"] = json.dumps(tags + [tag]), "json"

    # Attachments, analyses, dialogs, parties

    def find_attachment_by_purpose(self, purpose):
        return self._find("attachments", lambda one: purpose in (one.get("purpose"), one.get("type")))

    find_attachment_by_type = find_attachment_by_purpose

    def add_attachment(self, *, body, purpose=None, type=None, encoding="none", **extra):
        body, encoding = self._as_text(body, encoding)
        self._list("attachments").append({"purpose": purpose or type, "body": body, "encoding": encoding, **extra})

    def find_analysis_by_type(self, type):
        return self._find("analysis", lambda one: one.get("type") == type)

    def add_analysis(self, *, type, dialog, vendor, body, encoding="none", extra=None):
        body, encoding = self._as_text(body, encoding)
        analysis = {"type": type, "dialog": dialog, "vendor": vendor, "body": body, "encoding": encoding}
        self._list("analysis").append({**analysis, **(extra or {})})

    def add_dialog(self, dialog):
        self._list("dialog").append(dialog)

    def find_dialog(self, by, val):
        return self._find("dialog", lambda one: one.get(by) == val)

    def add_party(self, party):
        self._list("parties").append(party)

    def find_party_index(self, by, val):
        parties = self.vcon_dict.get("parties") or []
        return next((index for index, party in enumerate(parties) if party.get(by) == val), None)

    # The whole

    def to_dict(self):
        return copy.deepcopy(self.vcon_dict)

    def to_json(self):
        return json.dumps(self.vcon_dict)

    dumps = to_json


def _member(name):
    def read(self):
        return self.vcon_dict.get(name)

    def write(self, value):
        self.vcon_dict[name] = value

    return property(read, write)


def _list_member(name):
    return property(lambda self: self._list(name), lambda self, value: self.vcon_dict.__setitem__(name, value))


for _name in ("uuid", "vcon", "subject", "created_at", "updated_at", "redacted", "amended", "group", "meta"):
    setattr(Vcon, _name, _member(_name))
for _name in ("parties", "dialog", "attachments", "analysis"):
    setattr(Vcon, _name, _list_member(_name))
Vcon.appended = _member("amended")


class VconRedis:
    """Holds the one vCon that the link is called for; there is no Redis behind it."""

    current = {}
    stored = False

    def __init__(self, *_, **__):
        pass

    @classmethod
    def begin(cls, vcon_dict):
        cls.current, cls.stored = vcon_dict, False

    @classmethod
    def _check(cls, vcon_uuid, act):
        if vcon_uuid != cls.current.get("uuid"):
            raise LookupError(f"a link in links.exec can {act} only the vCon that it is called for, not {vcon_uuid}")

    def get_vcon_dict(self, vcon_uuid):
        self._check(vcon_uuid, "read")
        return copy.deepcopy(self.current)

    def get_vcon(self, vcon_uuid):
        return Vcon(self.get_vcon_dict(vcon_uuid))

    def store_vcon_dict(self, vcon_dict, *_, **__):
        self._check(vcon_dict.get("uuid"), "store")
        VconRedis.current, VconRedis.stored = copy.deepcopy(vcon_dict), True

    def store_vcon(self, vcon, *_, **__):
        self.store_vcon_dict(vcon.to_dict())


class Quiet(types.ModuleType):
    """A module in which every function exists and does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def exists(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def package(name):
    """The package, vcon-server's own where there is one."""
    if not exists(name):
        stand_in = types.ModuleType(name)
        stand_in.__path__ = []
        sys.modules[name] = stand_in
    return importlib.import_module(name)


def install_stand_ins():
    redis = types.ModuleType("vcon_redis")
    redis.VconRedis = VconRedis
    logging_utils = types.ModuleType("logging_utils")
    logging_utils.init_logger = logging.getLogger
    vcon = types.ModuleType("vcon")
    vcon.Vcon = Vcon
    sys.modules["vcon"] = vcon
    optional = {"logging_utils": logging_utils, "metrics": Quiet("metrics"), "error_tracking": Quiet("error_tracking")}
    for parent in ("", "server", "common"):
        prefix = ""
        if parent:
            prefix = f"{parent}."
            package(parent).vcon = vcon
            sys.modules[f"{parent}.vcon"] = vcon
        lib = package(f"{prefix}lib")
        modules = {"vcon_redis": redis}
        modules.update((name, module) for name, module in optional.items() if not exists(f"{prefix}lib.{name}"))
        for name, module in modules.items():
            sys.modules[f"{prefix}lib.{name}"] = module
            setattr(lib, name, module)


def failure(error, error_class, help_text):
    traceback.print_exc(file=sys.stderr)
    last_line = traceback.format_exception_only(type(error), error)[-1].strip()
    return {"error": {"class": error_class, "message": last_line, "help": help_text}}


def call(module, link_name, options, request):
    VconRedis.begin(request["vcon"])
    try:
        result = module.run(request["uuid"], link_name, options)
    except (Exception, SystemExit) as error:
        passing = isinstance(error, (ConnectionError, TimeoutError))
        error_class = "retryable" if passing else "permanent"
        return failure(error, error_class, "the whole traceback is in the log, from the link's standard error")
    answer = {"outcome": "continue"}
    if not result:
        answer["outcome"] = "stop"
    elif result is not True and str(result) != request["uuid"]:
        answer = {"outcome": "switch", "uuid": str(result)}
    if VconRedis.stored:
        answer["vcon"] = VconRedis.current
    return answer


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: vcon_link_adapter.py MODULE")
    # Standard output is for answers alone, and standard input for calls, whatever the link and its children do.
    answers, calls = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = sys.stderr
    logging.basicConfig(stream=sys.stderr, level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(message)s")
    sys.path.append(os.getcwd())

    hello = json.loads(calls.readline() or b"{}")
    module, broken = None, None
    try:
        install_stand_ins()
        module = importlib.import_module(sys.argv[1])
    except Exception as error:
        broken = failure(error, "configuration", "install what the link needs, and pass its folder in `env: PYTHONPATH`")
    for line in calls:
        request = json.loads(line)
        # Links change the options that they get.
        options = copy.deepcopy(hello.get("options") or {})
        answer = broken or call(module, hello.get("link", sys.argv[1]), options, request)
        try:
            text = json.dumps({"id": request["id"], **answer}, allow_nan=False)
        except (TypeError, ValueError) as error:
            text = json.dumps({"id": request["id"], **failure(error, "permanent", "the link stored what is not JSON")})
        answers.write(text.encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
