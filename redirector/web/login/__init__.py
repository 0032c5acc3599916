"""Who somebody is. Nothing outside this room touches cookies, passwords or keys of providers."""
