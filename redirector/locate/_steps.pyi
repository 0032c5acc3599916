from redirector.locate.steps import Numbers, Painted, Values

INTERFACE: int

def paint(firsts: Numbers, lasts: Numbers, values: Values, ground: int, end: int, /) -> Painted: ...
