"""The one theme: neutral surfaces, one accent, system fonts so that nothing is loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parent / "assets"
_SANS = (
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Helvetica",
    "Arial",
    "sans-serif",
)
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Return the theme, light and dark."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
        font=_SANS,
        font_mono=_MONO,
    )
    return base.set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#171614",
        body_text_color="#211f1c",
        body_text_color_dark="#ece9e4",
        body_text_color_subdued="#615c55",
        body_text_color_subdued_dark="#aaa49b",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#201f1c",
        background_fill_secondary="#f5f3f0",
        background_fill_secondary_dark="#282622",
        block_background_fill="#ffffff",
        block_background_fill_dark="#201f1c",
        block_border_color="#e4e0da",
        block_border_color_dark="#3a3732",
        border_color_primary="#d8d3cb",
        border_color_primary_dark="#45413b",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="#615c55",
        block_label_text_color_dark="#aaa49b",
        block_title_text_color="#3d3a35",
        block_title_text_color_dark="#d3cec6",
        block_title_text_weight="600",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1a1917",
        input_border_color="#c9c3b9",
        input_border_color_dark="#57524a",
        input_border_color_focus="#0f766e",
        input_border_color_focus_dark="#2dd4bf",
        input_placeholder_color="#736d64",
        input_placeholder_color_dark="#948d83",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_dark="#2dd4bf",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_hover_dark="#5eead4",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10201e",
        button_primary_text_color_hover="#ffffff",
        button_primary_text_color_hover_dark="#10201e",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#2b2925",
        button_secondary_background_fill_hover="#f1eee9",
        button_secondary_background_fill_hover_dark="#36332e",
        button_secondary_border_color="#c9c3b9",
        button_secondary_border_color_dark="#57524a",
        button_border_width="1px",
        button_cancel_background_fill="#ffffff",
        button_cancel_background_fill_dark="#2b2925",
        button_cancel_text_color="#a12c1d",
        button_cancel_text_color_dark="#ff9d8c",
        link_text_color="#0f766e",
        link_text_color_dark="#5eead4",
        color_accent_soft="#e3f3f1",
        color_accent_soft_dark="#173d39",
        block_shadow="none",
        block_radius="8px",
        layout_gap="14px",
    )


def css_paths() -> list[Path]:
    """Return the style sheets."""
    return [
        ASSETS / "pairloop.css",
        ASSETS / "edit.css",
        ASSETS / "records.css",
        ASSETS / "review.css",
        ASSETS / "tune.css",
        ASSETS / "runs.css",
        ASSETS / "charts.css",
        ASSETS / "results.css",
        ASSETS / "retrieval.css",
        ASSETS / "lineage.css",
        ASSETS / "settings.css",
        ASSETS / "team.css",
        ASSETS / "signing.css",
    ]


def head() -> str:
    """Return the page's own scripts, each over those before it: storage, back-up, keys, the screens, the panel Annotate."""
    names = (
        "listeners.js",
        "apart.js",
        "backup.js",
        "live.js",
        "keys.js",
        "pairloop.js",
        "results.js",
        "lineage.js",
        "vote.js",
        "edit_notices.js",
        "edit_search.js",
        "edit_form.js",
        "edit_drafts.js",
        "edit_screen.js",
        "edit_ending.js",
        "edit.js",
        "signing.js",
    )
    scripts = (ASSETS / name for name in names)
    tags = "".join(f"<script>{script.read_text(encoding='utf-8')}</script>" for script in scripts)
    return f'<meta name="referrer" content="same-origin">{tags}'
