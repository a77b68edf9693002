
"use strict";
{
  const filters = document.querySelector(".filters");
  const none = document.querySelector(".none");
  const details = [...document.querySelectorAll("details")];
  const cards = [...document.querySelectorAll(".card")].map((card) => ({
    card,
    model: card.dataset.model,
    words: plain([...card.querySelectorAll("[data-searched]")].map((each) => each.textContent).join(" ")),
  }));

  // only closed details are opened for the printer, and closed again
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = details.filter((each) => !each.open);
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));

  if (filters) {
    const search = filters.querySelector("input");
    const chips = [...filters.querySelectorAll("button")];
    const shown = filters.querySelector("output");
    let model = "";

    const apply = () => {
      const wanted = search ? plain(search.value).split(/\s+/) : [];
      let count = 0;
      for (const each of cards) {
        const matches = (!model || each.model === model) && wanted.every((word) => each.words.includes(word));
        each.card.hidden = !matches;
        count += matches;
      }
      none.hidden = count > 0;
      shown.textContent = count < cards.length ? `${count} of ${cards.length}` : "";
      chips.forEach((chip) => chip.setAttribute("aria-pressed", String(chip.dataset.model === model)));
    };

    chips.forEach((chip) => chip.addEventListener("click", () => {
      model = chip.dataset.model;
      apply();
    }));
    none.querySelector("button").addEventListener("click", () => {
      model = "";
      if (search) search.value = "";
      apply();
      (search ?? chips[0]).focus();
    });
    search?.addEventListener("input", apply);
    filters.hidden = false;
    apply();
  }

  function plain(text) {
    return text.normalize("NFKC").toLowerCase();
  }
}
