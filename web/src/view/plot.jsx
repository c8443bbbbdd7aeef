/* plot.jsx - lines over time, by uPlot, in the colours of the theme. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { moment, number, shortDay, time } from "../lib/format.js";
import { language, t } from "../lib/i18n.js";
import { theme } from "../state/prefs.js";

const DAY_SECS = 86_400;
const HEIGHT_PX = 160;
const darkness = matchMedia("(prefers-color-scheme: dark)");

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { lines: [of("accent"), of("code-name"), of("code-number"), of("danger")], quiet: of("quiet"), grid: of("line") };
}

/* Days, or hours where the points are closer. */
const DAYS = [1, 2, 3, 7, 14, 30, 90, 365].map((count) => count * DAY_SECS);
const HOURS = [1, 3, 6, 12].map((count) => count * 3600);
const isDaily = (times) => times.length < 2 || times[1] - times[0] > DAY_SECS * 0.9;

function optionsOf({ times, names, lines, unit, bars }, width) {
  const labelOf = isDaily(times) ? shortDay : (date) => (date.getHours() === 0 ? shortDay(date) : time(date));
  const { lines: strokes, quiet, grid } = colours();
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: quiet, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
  return {
    width,
    height: HEIGHT_PX,
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    legend: { show: lines.length > 1 },
    scales: { y: bars ? { range: (_, __, max) => [0, Math.max(1, max * 1.05)] } : {} },
    axes: [
      { ...axis, incrs: isDaily(times) ? DAYS : [...HOURS, ...DAYS], size: 34, space: 60, values: (_, splits) => splits.map((at) => labelOf(new Date(at * 1000))) },
      { ...axis, size: 56, values: (_, splits) => splits.map((value) => `${number(value, { notation: Math.abs(value) >= 1e5 ? "compact" : "standard" })}${unit ? ` ${unit}` : ""}`) },
    ],
    series: [
      { label: t("plot.time"), value: (_, at) => (at === null ? "–" : (isDaily(times) ? shortDay : moment)(new Date(at * 1000))) },
      ...lines.map((_, i) => ({
        label: names[i], stroke: strokes[i % strokes.length], width: 2, points: { show: lines[0].length < 40 && !bars, size: 5 },
        ...(bars && { paths: uPlot.paths.bars({ size: [0.7, 40] }), fill: strokes[i % strokes.length], width: 0 }),
        value: (__, value) => (value === null ? "–" : number(value, { maximumFractionDigits: 2 })),
      })),
    ],
  };
}

/* `times` in seconds, `lines` of as many numbers each; `label` says what is seen to who does not see it. */
export default function Plot({ times, lines, names, unit = "", label, bars = false }) {
  const place = useRef(null);
  const spoken = language();
  const chosen = theme.value;
  useEffect(() => {
    let plot = null;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(optionsOf({ times, names, lines, unit, bars }, place.current.clientWidth), [times, ...lines], place.current);
    };
    const observer = new ResizeObserver(() => plot?.setSize({ width: place.current.clientWidth, height: HEIGHT_PX }));
    draw();
    observer.observe(place.current);
    darkness.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      darkness.removeEventListener("change", draw);
      plot.destroy();
    };
  }, [times, lines, spoken, chosen]);
  return <div ref={place} class="plot" role="img" aria-label={label} />;
}
