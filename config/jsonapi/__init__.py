"""JSON:API at the edge: bodies in, documents out, errors, paging.

Parser, renderer, paging and error handler are modules of their own: in one module their import becomes circular in
some starts of a worker.
"""
