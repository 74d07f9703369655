"""The link NAME: counts the words of text dialogs and tags the vCon with the sum.

Lines of JSON come on standard input and answers go to standard output; print nothing else there, standard error is the log.
"""

import json
import sys

options = {}
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        options = message.get("options") or {}
        continue
    if message["type"] != "run":
        continue
    texts = [dialog.get("body") for dialog in message["vcon"].get("dialog") or []]
    words = sum(len(text.split()) for text in texts if isinstance(text, str))
    edits = [{"op": "add_tag", "name": options.get("tag", "words"), "value": str(words)}]
    print(json.dumps({"id": message["id"], "outcome": "continue", "edits": edits}), flush=True)
