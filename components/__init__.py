"""The screens: a folder for each tab, beside what tabs share. With app.py the only code that imports gradio.

Every tab is a frozen dataclass of components, ``build()`` for the layout, a handlers class over the services, and
``wire()`` for the listeners. Importing any of it does nothing.
"""
