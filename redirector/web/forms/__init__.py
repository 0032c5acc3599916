"""Forms for those who have an account: sites, hosts and what belongs to them; and the desk of the distribution."""
