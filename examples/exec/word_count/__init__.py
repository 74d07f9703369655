"""An example link in the form of vcon-server: counts the words of text dialogs into an analysis each."""

from lib.logging_utils import init_logger
from server.lib.vcon_redis import VconRedis

logger = init_logger(__name__)

default_options = {"analysis_type": "word_count", "minimum": 0}


def run(vcon_uuid, link_name, opts=default_options):
    opts = {**default_options, **(opts or {})}
    vcon_redis = VconRedis()
    vcon = vcon_redis.get_vcon(vcon_uuid)
    done = {one.get("dialog") for one in vcon.analysis if one.get("type") == opts["analysis_type"]}
    total = 0
    for index, dialog in enumerate(vcon.dialog):
        if dialog.get("type") != "text" or not isinstance(dialog.get("body"), str):
            continue
        count = len(dialog["body"].split())
        total += count
        if index not in done:
            vcon.add_analysis(type=opts["analysis_type"], dialog=index, vendor="example", body={"words": count})
    logger.info("%s: %s has %s words", link_name, vcon_uuid, total)
    if total < opts["minimum"]:
        return None
    vcon.add_tag("words", total)
    vcon_redis.store_vcon(vcon)
    return vcon_uuid
