// Small helpers for elements: everything shown goes in as text, never as markup.

export const by = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Catalogues in capitals are hard to read: "SOFT DRINKS" becomes "Soft drinks".
export function readable(text) {
  if (!text) return text;
  if (text !== text.toUpperCase()) return text;
  const lower = text.toLowerCase();
  return lower.charAt(0).toUpperCase() + lower.slice(1);
}

export const nameOf = (item) => readable(item.title) || `Item ${item.item_id}`;

export function ago(moment) {
  const minutes = Math.max(0, (Date.now() - new Date(moment)) / 60000);
  const steps = [[60 * 24 * 2, 60 * 24, "days"], [120, 60, "hours"], [0, 1, "minutes"]];
  const [, unit, word] = steps.find(([least]) => minutes >= least);
  return `${Math.round(minutes / unit)} ${word} old`;
}
