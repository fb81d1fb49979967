"""Makes the seed corpora, those of the canonicalization targets from tests/data/canonical.tsv: python3 fuzz/seed.py"""
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
