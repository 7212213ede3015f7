// A text field with a list of suggestions, after the ARIA combobox pattern.

import { make } from "/static/dom.js";

export function combobox(input, list, { suggest, show, choose, free }) {
  let options = [];
  let active = -1;
  let timer;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    active = place;
    [...list.children].forEach((row, number) => row.setAttribute("aria-selected", String(number === place)));
    const row = list.children[place];
    if (row) {
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    }
  };
  const take = (option) => {
    close();
    choose(option);
  };
  const open = async () => {
    const found = await suggest(input.value.trim());
    if (found === null || document.activeElement !== input) return;
    options = found;
    list.replaceChildren(...options.map((option, number) =>
      make("li", { role: "option", id: `${list.id}-${number}`, "aria-selected": "false",
        onmousedown: (event) => { event.preventDefault(); take(option); } }, ...show(option))));
    list.hidden = options.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    active = -1;
  };

  input.addEventListener("input", () => {
    close(); // what is listed answers other words than those typed now
    options = [];
    clearTimeout(timer);
    timer = setTimeout(open, 80);
  });
  input.addEventListener("focus", () => { input.select(); open(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) { open(); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark((active + step + options.length) % options.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(timer);
      if (active >= 0) take(options[active]);
      else if (free && input.value.trim()) { close(); free(input.value.trim()); }
      else if (options.length) take(options[0]);
    } else if (event.key === "Escape") {
      close();
    }
  });
}
