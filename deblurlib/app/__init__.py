"""The web app: a blurry photo, a browser, no Python; and the same over HTTP.

``page``: what a visitor sees, on Gradio; ``actions``: what it does; ``parts``: its parts as HTML;
``examples``: pictures to try. ``server``: the page and the forms of programs; ``door``: password
and limits. ``desk``: who comes in is served here. ``workers``: the process that works, and the line
of those who wait; ``tasks``: what it does, by the functions of ``deblur restore``. ``visits``:
visitors' pictures, deleted after a while. The extra ``app`` installs what it needs.
"""
