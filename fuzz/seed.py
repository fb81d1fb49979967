"""Makes the seed corpora of the canonicalization targets from tests/data/canonical.tsv: python3 fuzz/seed.py"""
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
