"""What comes from outside becomes values: every problem at once, each at its field; unknown fields are problems.

A body that makes something is read whole (`read_new`). One that changes something is read field by field
(`read_change`), so that what an import left broken elsewhere keeps nobody from mending one field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from redirector.registry import rules
from redirector.registry.refusals import FieldProblem, Invalid

Text = Annotated[str, AfterValidator(rules.read_text)]
FilledText = Annotated[str, AfterValidator(rules.read_filled_text)]
Mail = Annotated[str, AfterValidator(rules.read_mail)]
PageUrl = Annotated[str, AfterValidator(rules.read_page_url)]
HostName = Annotated[str, AfterValidator(rules.read_host_name)]
Country = Annotated[str, AfterValidator(rules.read_country)]
Frequency = Annotated[str, AfterValidator(rules.read_frequency)]
Asn = Annotated[int, AfterValidator(rules.read_asn)]
Degrees = Annotated[float, Field(allow_inf_nan=False)]
Time = Annotated[AwareDatetime, Field(strict=False)]
"""RFC 3339 with its offset."""

LIST_LIMIT = 100
"""Entries of a list in one body."""

T = TypeVar("T", bound="Noun")


class Noun(BaseModel):
    """A body: types are meant as they are written (`"5"` is no number), and nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid", strict=True, validate_default=False)

    def across(self) -> list[FieldProblem]:
        """What is wrong between fields that are right by themselves."""
        return []


def _example(body: dict[str, Any]) -> ConfigDict:
    """A body as the API's document shows it; a test sends each."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class Site(Noun):
    """Who runs hosts.

    pulled_by  who sees its `mirrors` URLs: `all` approved sites, or the numbers of those that may
    """

    model_config = _example(
        {"name": "Example Site", "url": "https://example.org/", "contacts": ["mirror@example.org"], "private": False}
    )

    name: FilledText
    url: PageUrl
    contacts: Annotated[list[Mail], Field(min_length=1, max_length=20)]
    private: bool = False
    enabled: bool = True
    pulled_by: Literal["all"] | Annotated[list[int], Field(max_length=LIST_LIMIT)] = []
    comment: Text = ""

    def across(self) -> list[FieldProblem]:
        seen: set[str] = set()
        problems = []
        for number, mail in enumerate(self.contacts):
            if mail.casefold() in seen:
                problems.append(FieldProblem(f"contacts.{number}", "stands in the list already"))
            seen.add(mail.casefold())
        return problems


class Maintenance(Noun):
    """A window in which the host is not listed."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[Time, Field(alias="from")]
    to: Time

    def epoch(self) -> tuple[int, int]:
        """Both ends in epoch seconds."""
        return int(self.from_.timestamp()), int(self.to.timestamp())


class Host(Noun):
    """One machine that carries content.

    pulls_from  the name of a host, or `master`; None: not said
    """

    model_config = _example(
        {
            "name": "mirror.example.org",
            "country": "DE",
            "city": "Berlin",
            "latitude": 52.52,
            "longitude": 13.405,
            "bandwidth_mbit": 10000,
            "own_asn": 3320,
            "update_frequency": "3h",
            "maintenance": {"from": "2030-01-02T06:00:00Z", "to": "2030-01-02T10:00:00Z"},
            "new_releases": True,
            "tier": 1,
            "pulls_from": "master",
        }
    )

    name: HostName
    country: Country
    state: Text = ""
    city: Text = ""
    latitude: Annotated[Degrees, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[Degrees, Field(ge=-180, le=180)] | None = None
    bandwidth_mbit: Annotated[int, Field(ge=rules.BANDWIDTHS_MBIT[0], le=rules.BANDWIDTHS_MBIT[1])]
    private: bool = False
    monopoly: bool = False
    own_asn: Asn | None = None
    serves_own_asn: bool = True
    update_frequency: Frequency = ""
    cloud_type: Literal["aws", "gcp", "azure", "oci"] | None = None
    cloud_regions: Annotated[list[FilledText], Field(max_length=LIST_LIMIT)] = []
    maintenance: Maintenance | None = None
    new_releases: bool = False
    tier: Annotated[int, Field(ge=0, le=2)] | None = None
    pulls_from: Text | None = None
    enabled: bool = True

    def across(self) -> list[FieldProblem]:
        problems = []
        if (self.latitude is None) != (self.longitude is None):
            absent = "latitude" if self.latitude is None else "longitude"
            problems.append(FieldProblem(absent, "latitude and longitude are given both, or neither"))
        if self.cloud_regions and self.cloud_type is None:
            problems.append(FieldProblem("cloud_type", "regions need the type of the cloud"))
        if self.maintenance is not None:
            start, end = self.maintenance.epoch()
            if end <= start:
                problems.append(FieldProblem("maintenance.to", "must be later than its beginning"))
        return problems


class Carried(Noun):
    """A category of a host, by the category's name; *exclusions*: what it leaves out of it."""

    model_config = _example({"category": "Example Linux", "exclusions": ["*/source/*"]})

    category: FilledText
    always_current: bool = False
    exclusions: Annotated[list[Annotated[str, AfterValidator(rules.read_pattern)]], Field(max_length=LIST_LIMIT)] = []


class Url(Noun):
    """A base URL of a host for a category's top directory."""

    model_config = _example(
        {
            "category": "Example Linux",
            "url": "rsync://mirror.example.org/linux/",
            "audience": "mirrors",
            "user": "tier2",
            "password": "a long one",
        }
    )

    category: FilledText
    url: FilledText
    audience: Literal["public", "mirrors"] = "public"
    user: Text | None = None
    password: Annotated[str, Field(max_length=rules.TEXT_LIMIT), AfterValidator(rules.read_text)] | None = Field(
        default=None, repr=False
    )

    def across(self) -> list[FieldProblem]:
        problems = []
        rsync = self.url.lower().startswith("rsync:")
        for name, value in (("user", self.user), ("password", self.password)):
            if value and not (self.audience == "mirrors" and rsync):
                problems.append(FieldProblem(name, "only an rsync URL for mirrors has one"))
        if self.password and not self.user:
            problems.append(FieldProblem("user", "a password needs a user"))
        return problems


class Network(Noun):
    """A network whose clients prefer the host: a CIDR, or the DNS name of a NAT gateway; *name* is a label."""

    model_config = _example({"network": "8.8.8.0/24", "name": "our campus"})

    network: Annotated[str, AfterValidator(rules.read_network)]
    name: Text = ""


class AsnOf(Noun):
    """An AS whose clients prefer the host."""

    model_config = _example({"asn": 680})

    asn: Asn


class CountryAllowed(Noun):
    """A country whose clients may have the host."""

    model_config = _example({"country": "DE"})

    country: Country


class AclAddress(Noun):
    """Where a host pulls from the masters with."""

    model_config = _example({"address": "8.8.8.8"})

    address: Annotated[str, AfterValidator(rules.read_acl_address)]


def _joinable(value: object) -> object:
    return {"all": True, "admins": False}.get(value, value) if isinstance(value, str) else value


class Category(Noun):
    """What hosts sign up for. *joinable*: by everybody, or by distribution admins alone."""

    model_config = _example(
        {"name": "Example Archive", "top": "pub/archive", "product": "Example Linux", "joinable": True}
    )

    name: FilledText
    top: Annotated[str, AfterValidator(rules.read_top)]
    product: Text = ""
    joinable: Annotated[bool, BeforeValidator(_joinable)] = True
    for_people: bool = True


class Repository(Noun):
    """A prefix and an architecture that name a directory."""

    model_config = _example({"prefix": "example-9", "arch": "x86_64", "directory": "pub/linux/9/BaseOS/x86_64/os"})

    prefix: FilledText
    arch: FilledText
    directory: Annotated[str, AfterValidator(rules.read_top)]
    enabled: bool = True


class Redirect(Noun):
    """One name that stands for another: a repository's prefix, a country's continent, a network's country."""

    model_config = _example({"kind": "repository", "source": "example-rolling", "target": "example-9"})

    kind: Literal["repository", "continent", "country"] = "repository"
    source: FilledText
    target: FilledText

    def across(self) -> list[FieldProblem]:
        problems = []
        if self.kind == "repository" and self.source == self.target:
            problems.append(FieldProblem("target", "leads to itself"))
        checks: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
            "repository": (rules.read_filled_text, rules.read_filled_text),
            "continent": (rules.read_country, read_continent),
            "country": (rules.read_network, rules.read_country),
        }
        for name, value, check in zip(("source", "target"), (self.source, self.target), checks[self.kind], strict=True):
            try:
                check(value)
            except ValueError as error:
                problems.append(FieldProblem(name, str(error)))
        return problems


def read_continent(text: str) -> str:
    """A continent's code of two letters."""
    code = text.strip().upper()
    if code not in ("AF", "AN", "AS", "EU", "NA", "OC", "SA"):
        raise ValueError("AF, AN, AS, EU, NA, OC or SA is needed")
    return code


class Release(Noun):
    """A version of a product. *not_before*: its content is public then (embargo)."""

    model_config = _example(
        {"product": "Example Linux", "version": "10", "arches": ["x86_64"], "not_before": "2030-06-01T14:00:00Z"}
    )

    product: FilledText
    version: FilledText
    arches: Annotated[list[FilledText], Field(max_length=LIST_LIMIT)] = []
    not_before: Time | None = None


class Note(Noun):
    """What distribution admins tell each other about a site or host."""

    model_config = _example({"text": "Answers mail within a day."})

    text: FilledText


class Approval(Noun):
    """What is asked of, or decided about, a site, a network or an AS number; *text* is mailed."""

    model_config = _example({"action": "approve", "text": "Welcome."})

    action: Literal["ask", "approve", "refuse", "suspend"]
    text: Text = ""


class Token(Noun):
    """A token that is to be made; *days* until it ends."""

    model_config = _example({"scope": "check-in", "days": 365})

    scope: Literal["check-in", "read", "write"]
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class Admin(Noun):
    """An account that is invited, by its login or mail address."""

    model_config = _example({"account": "anna@example.org"})

    account: FilledText


class Account(Noun):
    """A local account, as commands make it."""

    login: Annotated[str, AfterValidator(rules.read_login)]
    mail: Mail | None = None
    distribution_admin: bool = False
    disabled: bool = False


# -- Reading -----------------------------------------------------------------------------------------------------------


def read_new(noun: type[T], body: object, lax: bool = False) -> T:
    """The *noun* that *body* describes.

    lax     from a form or a command line, where everything is text
    raises  Invalid with every problem, each at its field
    """
    try:
        value = noun.model_validate(body, strict=None if not lax else False)
    except ValidationError as error:
        raise Invalid(problems=_problems(error.errors(include_url=False, include_input=False))) from None
    if problems := value.across():
        raise Invalid(problems=problems)
    return value


def read_change(noun: type[T], current: Mapping[str, Any], body: object, lax: bool = False) -> dict[str, Any]:
    """The fields that *body* sets, read; those that equal what is there now are left out.

    current  every field as it is
    raises   Invalid with every problem of the fields in *body*, and of what they mean together with the others
    """
    if not isinstance(body, Mapping):
        raise Invalid(problems=(FieldProblem("", "an object is needed"),))
    known = {field.alias or name: name for name, field in noun.model_fields.items()}
    problems = [FieldProblem(str(key)[:100], "there is no such field") for key in body if key not in known]
    merged = noun.model_construct(**{name: current.get(name) for name in known.values()})
    for key in body:
        if key not in known:
            continue
        try:
            noun.__pydantic_validator__.validate_assignment(
                merged, known[key], body[key], strict=None if not lax else False
            )
        except ValidationError as error:
            problems += _problems(error.errors(include_url=False, include_input=False))
    if problems:
        raise Invalid(problems=problems)
    across = [each for each in merged.across() if each.field.partition(".")[0] in body or _concerns(each, body)]
    if across:
        raise Invalid(problems=across)
    fields = {known[key]: getattr(merged, known[key]) for key in body}
    return {name: value for name, value in fields.items() if value != current.get(name)}


_TOGETHER = ({"latitude", "longitude"}, {"cloud_type", "cloud_regions"}, {"user", "password", "audience", "url"})


def _concerns(problem: FieldProblem, body: Mapping[str, Any]) -> bool:
    return any(problem.field in fields and not fields.isdisjoint(body) for fields in _TOGETHER)


_TEXTS = {
    "missing": "is needed",
    "extra_forbidden": "there is no such field",
    "string_type": "a text is needed",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "finite_number": "a finite number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "list_type": "a list is needed",
    "model_type": "an object is needed",
    "model_attributes_type": "an object is needed",
    "dict_type": "an object is needed",
    "timezone_aware": "a time with its offset is needed, such as 2026-11-28T06:00:00Z",
}


def _problems(errors: list[ErrorDetails]) -> list[FieldProblem]:
    """pydantic's errors in our words; alternatives of one field are one problem."""
    found: dict[str, FieldProblem] = {}
    for error in errors:
        parts = [str(part)[:100] for part in error["loc"] if not _is_branch(part)]
        field = ".".join(parts)
        found.setdefault(field, FieldProblem(field, _say(error)))
    return list(found.values())


def _is_branch(part: int | str) -> bool:
    """pydantic names the alternative of a union, too: `literal['all']`, `list[int]`, `function-after[…]`."""
    return isinstance(part, str) and ("[" in part or part in ("constrained-int", "int", "str", "float", "Maintenance"))


def _say(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _TEXTS:
        return _TEXTS[kind]
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"at {'least' if 'ge' in context else 'most'} {bound:,} is allowed"
    if kind == "literal_error":
        return f"{context.get('expected', '')} is needed".replace("'", "")
    if kind == "too_short":
        return "at least one is needed"
    if kind == "too_long":
        return f"more than {context.get('max_length')} are too many"
    if kind.startswith("datetime"):
        return _TEXTS["timezone_aware"]
    return error["msg"][:1].lower() + error["msg"][1:]


def time_of(epoch: int) -> datetime:
    """Epoch seconds as the time that bodies hold."""
    return datetime.fromtimestamp(epoch, UTC)
