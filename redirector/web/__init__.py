"""What people and programs meet of the registry: pages, forms and the API, in a process of their own."""
