"""One module (or folder) per published system. Each offers `recipe(*, model, data, seed, ...) -> Recipe`."""
