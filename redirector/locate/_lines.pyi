from redirector.locate.asn_lines import Found

INTERFACE: int

def read_lines(text: bytes, /) -> Found: ...
