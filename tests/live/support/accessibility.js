// Returns what a person with a screen reader, a keyboard or weak eyes would miss on this page.
const faults = [];
const fault = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

const rgb = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = ([red, green, blue]) => {
  const linear = [red, green, blue].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const background = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = rgb(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};

if (!document.documentElement.lang) fault("no language", document.documentElement);
if (!document.title) fault("no title", document.head);
for (const landmark of ["main", "header", "nav"]) {
  if (!document.querySelector(landmark)) faults.push(`no ${landmark}`);
}
if (document.querySelectorAll("h1").length !== 1) faults.push("not exactly one h1");
let level = 0;
for (const heading of document.querySelectorAll("h1,h2,h3")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) fault("skipped level of heading", heading);
  level = next;
}
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
if (new Set(ids).size !== ids.length) faults.push("an id is not unique");
for (const element of document.querySelectorAll("a,button,summary")) {
  const name = element.getAttribute("aria-label") || element.textContent.trim();
  if (!name) fault("no name", element);
}
for (const field of document.querySelectorAll("input")) {
  if (!field.labels.length) fault("no label", field);
}
for (const picture of document.querySelectorAll("svg")) {
  const isHidden = picture.closest("[aria-hidden=true]") || picture.parentElement.closest("svg");
  if (!isHidden && !picture.getAttribute("aria-label")) fault("picture without a text", picture);
}
for (const table of document.querySelectorAll("table")) {
  if (!table.querySelector("thead th[scope=col]")) fault("no headers of columns", table);
  if (!table.querySelector("tbody th[scope=row]")) fault("no headers of rows", table);
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text = texts.nextNode(); text; text = texts.nextNode()) {
  const element = text.parentElement;
  if (!text.data.trim() || element.closest(".hidden,.skip,script")) continue;
  const style = getComputedStyle(element);
  if (!element.checkVisibility({ visibilityProperty: true })) continue;
  const area = element.closest("svg")?.querySelector("rect");
  const back = area ? rgb(getComputedStyle(area).fill) : background(element);
  const ratio = contrast(rgb(area ? style.fill : style.color), back);
  if (ratio < 4.5) fault(`contrast of ${ratio.toFixed(2)}`, element);
}
for (const element of document.querySelectorAll("a,button,input,summary")) {
  if (!element.checkVisibility()) continue;
  element.focus({ focusVisible: true });
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  if (outlineStyle === "none" || parseFloat(outlineWidth) < 1) fault("focus is not visible", element);
}
document.activeElement.blur();
return faults;
