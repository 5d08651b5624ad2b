"""Everything of Pairloop that is not a screen. Never imports gradio or components.

Direction of imports: ``services`` > the other modules > ``records`` > ``settings``, ``errors``.
"""
