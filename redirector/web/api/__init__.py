"""The API below `/api/v1`: routes as data, from which the router and the OpenAPI document are made."""
