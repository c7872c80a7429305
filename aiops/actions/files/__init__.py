"""The files that people edit by hand: checked, rendered, compared with what serves, made live."""
