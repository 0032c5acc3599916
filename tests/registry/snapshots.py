"""What two catalogs say, in a form that can be compared: by the names of hosts, whatever their order."""

from __future__ import annotations

from redirector.model import Catalog, HostSet
from tests.sources.snapshot_file import MirrorList

Said = dict[str, object]


def said_by(catalog: Catalog) -> Said:
    """Hosts, networks, URLs, directories, repositories, redirects, hashes."""
    sets = [_said_by_set(catalog, each) for each in catalog.host_sets]
    return {
        "hosts": {
            host.name: (
                host.country,
                host.bandwidth_mbit,
                frozenset(host.netblocks),
                frozenset(host.asns),
                host.private,
                host.allowed,
            )
            for host in catalog.hosts
        },
        "directories": {
            name: (sets[directory.host_set], directory.subpath_of(name))
            for name, directory in catalog.directories.items()
        },
        "repositories": dict(catalog.repositories),
        "disabled": catalog.disabled,
        "redirects": dict(catalog.redirects),
        "details": dict(catalog.details),
        "countries": frozenset(catalog.client_countries),
        "continents": dict(catalog.continents),
        "built": catalog.built,
    }


def _said_by_set(catalog: Catalog, carriers: HostSet) -> object:
    names = {number: catalog.hosts[number].name for number in carriers.urls}
    return (
        frozenset((names[number], frozenset(urls)) for number, urls in carriers.urls.items()),
        frozenset(names[number] for number in carriers.public),
        frozenset(
            (country, frozenset(names[number] for number in there)) for country, there in carriers.by_country.items()
        ),
    )


def file_of(catalog: Catalog) -> bytes:
    """*catalog* as MirrorManager would write it: host N has number N + 1, its URLs have numbers of their own."""
    root = MirrorList(Time=catalog.built)
    numbers: dict[tuple[int, str], int] = {}
    for carriers in catalog.host_sets:
        for each, urls in carriers.urls.items():
            for url in urls:
                if (each, url) not in numbers:
                    numbers[each, url] = 100 + len(numbers)
                    root.HCUrlCache.add(key=numbers[each, url], value=url)
    for number, host in enumerate(catalog.hosts, start=1):
        if host.country:
            root.HostCountryCache.add(key=number, value=host.country)
        root.HostBandwidthCache.add(key=number, value=host.bandwidth_mbit)
        for asn in host.asns:
            root.HostAsnCache.add(key=asn, value=[number])
        for network in host.netblocks:
            root.HostNetblockCache.add(key=str(network), value=[number])
        if host.allowed:
            root.HostCountryAllowedCache.add(key=number, value=sorted(host.allowed))
    for name, directory in catalog.directories.items():
        carriers = catalog.host_sets[directory.host_set]
        record = root.MirrorListCache.add(directory=name, Subpath=directory.subpath_of(name))
        record.Global.extend(number + 1 for number in carriers.public)
        for country, there in carriers.by_country.items():
            record.ByCountry.add(key=country, value=[number + 1 for number in there])
        for carrier, urls in carriers.urls.items():
            record.ByHostId.add(key=carrier + 1, value=[numbers[carrier, url] for url in urls])
    for (prefix, arch), name in catalog.repositories.items():
        root.RepoArchToDirectoryName.add(key=f"{prefix}+{arch}", value=name)
    for prefix in catalog.disabled:
        root.DisabledRepositoryCache.add(key=prefix, value=True)
    for source, target in catalog.redirects.items():
        root.RepositoryRedirectCache.add(key=source, value=target)
    for country, continent in catalog.continents.items():
        root.CountryContinentRedirectCache.add(key=country, value=continent)
    for client_network, country in catalog.client_countries:
        root.NetblockCountryCache.add(key=str(client_network), value=country)
    for (folder, file), versions in catalog.details.items():
        told = root.FileDetailsCache.add(directory=folder).FileDetailsCacheFiles.add(filename=file)
        for version in versions:
            told.FileDetails.add(
                TimeStamp=version.timestamp,
                Size=version.size_bytes,
                SHA1=version.sha1,
                MD5=version.md5,
                SHA256=version.sha256,
                SHA512=version.sha512,
            )
    return bytes(root.SerializeToString())
