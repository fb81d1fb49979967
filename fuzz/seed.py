"""Makes the seed corpora: python3 fuzz/seed.py. Those of the canonicalization targets come from tests/data/canonical.tsv, and those of the files of
cache-index-persist from the golden files in crates/persist/tests/data."""
import hashlib, pathlib, re

here = pathlib.Path(__file__).parent
settings = ["default", "v7", "v7=optional", "root=path", "cname=img.mycompany.com", "prefix=https://hello.s3.aws.com/", "scope=urls"]


def unescape(text):
    text = re.sub(r"\\\{(.*?)\*(\d+)\}", lambda m: m[1] * min(int(m[2]), 64), text)
    return re.sub(rb"\\(?:x(..)|(\\))", lambda m: bytes([int(m[1], 16)]) if m[1] else b"\\", text.encode())


def seed(target, data):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


for line in (here.parent / "tests/data/canonical.tsv").read_text().splitlines():
    if line.startswith("#"):
        continue
    config, kind, text, origin, variant, _, _ = line.split("\t")
    choice = bytes([settings.index(config) if config in settings else 7 if "scope" in config else 4 if "wild" in config else 0])
    seed("canonical_request" if kind == "delivery" else "canonical_entry", choice + unescape(text))
    for known in (origin, variant):
        if known != "-":
            seed("canonical_known", unescape(known))
for key in ["?w=1@https", "?@http.:443%0F", "?h=1&w=2#webp", "?r=90?w=300@:80%8#image/svg+xml"]:
    seed("canonical_known", key.encode())

for body in [
    '{"scope":"all"}',
    '{"scope":"all","mode":"soft"}',
    '{"scope":"original","urls":["/sample.li/birds.jpg","sample.li/./birds.jpg"]}',
    '{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["?w=200","height=9"],"mode":"hard"}',
    '{"scope":"original","urls":["/sample.li/*","/sample.li/birds.jpg"]}',
    '{"scope":"original","urls":["/https%3A%2F%2Fa.b%2Fc.jpg%3Fd?ci_url_encoded=1"]}',
    '{"scope":"urls","urls":["/sample.li/birds.jpg?width=200","/sample.li/birds.jpg","/a?h=9&w=200"],"mode":"soft"}',
    '{"urls":["/v7/sample.li/birds.jpg","/v7/_alias_/a.jpg"],"scope":"original"}',
    '{"scope":"original","urls":["https://doc.cloudimg.io/sample.li/boat.jpg?w=300"]}',
    '{"scope":"original","\\u0075rls":["\\u002fa"],"x":[[[[[[[[1]]]]]]]],"y":{"z":-1.5e3}}',
    '{"scope":"original","urls":["/a","/b","/c","/d","/e","/f","/g","/h","/i"]}',
    '[{"scope":["all"]},null,true]',
]:
    for choice in b"\x00\x01\x06\x1a":
        seed("invalidation", bytes([choice]) + body.encode())

golden = here.parent / "crates/persist/tests/data/v1"
manifest = (golden / "MANIFEST").read_bytes()
[log] = [file.read_bytes() for file in golden.glob("log-*")]
[snapshot] = [file.read_bytes() for file in golden.glob("snap-*")]
for choice in b"\x00\x01":
    seed("persist_manifest", bytes([choice]) + manifest)
    seed("persist_manifest", bytes([choice]) + manifest[:72])
frames = log[8192:].rstrip(b"\x00")
seed("persist_log", b"\x00" + log[:48] + log[4096:4120] + frames)
seed("persist_log", b"\x01" + frames)
payloads, at = b"", 0
while at < len(frames):
    length = int.from_bytes(frames[at:at + 4], "little")
    payload = frames[at + 24:at + 24 + length]
    payloads += bytes([len(payload)]) + payload
    seed("persist_log", b"\x02" + bytes([len(payload)]) + payload)
    at += -(-(24 + length) // 16) * 16
seed("persist_log", b"\x02" + payloads)
# Flushes over time of a minute: of everything, and of the tenant doc.
course = (60 * 10**9).to_bytes(8, "little") + bytes(8)
for payload in (bytes(9) + b"\x08" + course + b"\x01", bytes(9) + b"\x09\x03\0\0\0doc" + course + b"\x00"):
    seed("persist_log", b"\x02" + bytes([len(payload)]) + payload)
entries = int.from_bytes(snapshot[-40:][24:32], "little")
for choice in (0, 1):
    seed("persist_snapshot", bytes([choice | entries << 2 & 0xff]) + snapshot)
stored, raw, paths = (int.from_bytes(snapshot[at:at + 4], "little") for at in (84, 88, 92))
seed("persist_snapshot", bytes([3 | entries << 2 & 0xff, paths]) + raw.to_bytes(3, "little") + snapshot[100:100 + stored])
# One key, one tenant, one path with one value, and the same as a stale entry.
for stale in b"\x00\x01":
    seed("persist_snapshot", b"\x06\x01\x00\x00\x00" + b"\x01\x01?\x01\x03doc\x00\x07a/b.jpg\x01" + bytes([stale]) + bytes(range(8)))
