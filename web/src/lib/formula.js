/*
 * formula.js - draws the formulas of an element, by KaTeX, as MathML: that needs neither fonts nor inline styles.
 */

const FORMULA_MAX_CHARS = 5000;

export async function drawFormulas(element) {
  const formulas = [...element.querySelectorAll(".math:not(.drawn)")];
  if (formulas.length === 0) {
    return;
  }
  try {
    const { default: katex } = await import("katex");
    for (const formula of formulas) {
      const tex = formula.textContent;
      if (tex.length <= FORMULA_MAX_CHARS) {
        formula.classList.add("drawn");
        katex.render(tex, formula, {
          displayMode: formula.classList.contains("math-display"), maxExpand: 200, output: "mathml", throwOnError: false, trust: false,
        });
      }
    }
  } catch {
    // Offline, or no TeX: it stays as it was written.
  }
}
