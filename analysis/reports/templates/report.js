// Draws the curves that come into view, marks the section at hand, and narrows the cards to a category.
// Everything it needs lies in this page; without it the page shows pictures.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent || "{}");
  const packed = document.getElementById("plotly");
  const font = getComputedStyle(document.body).fontFamily;
  const axis = {
    gridcolor: "#eceff3", linecolor: "#d9dee5", zeroline: false, ticks: "", automargin: true,
    tickfont: { color: "#5b6775", size: 11 }, title: { font: { color: "#5b6775", size: 12 }, standoff: 6 },
  };
  let loading = null;

  async function unpacked() {
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    packed.remove();
    document.head.append(script);
    return window.Plotly;
  }

  function dressed(layout) {
    const made = { ...layout };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      made[name] = { ...axis, ...layout[name], title: { ...axis.title, ...layout[name].title } };
      if (name.startsWith("x")) made[name].showgrid = false;
    }
    return {
      font: { family: font, size: 12, color: "#1d2733" }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
      margin: { l: 58, r: 12, t: 8, b: 42 }, hovermode: "x unified", hoversubplots: "axis", hoverlabel: { font: { size: 12 } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11.5 } },
      dragmode: "zoom", ...made,
    };
  }

  async function draw(figure) {
    const chart = charts[figure.dataset.chart];
    const still = figure.querySelector("img.still");
    if (!chart || !packed || !window.DecompressionStream) return;
    loading = loading || unpacked();
    const plotly = await loading;
    const place = document.createElement("div");
    place.className = "live";
    place.setAttribute("aria-hidden", "true");
    const height = Math.max(still.clientHeight, 230);
    place.style.height = `${height}px`;
    still.after(place);
    still.classList.add("replaced");
    await plotly.newPlot(place, chart.data, { ...dressed(chart.layout), height }, {
      displayModeBar: false, responsive: true, showTips: false,
    });
    figure.dataset.drawn = "true";
  }

  function failed(figure, error) {
    const still = figure.querySelector("img.still");
    figure.querySelectorAll(".live").forEach((place) => place.remove());
    still.classList.remove("replaced");
    console.warn("The picture stays:", error.message);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      draw(entry.target).catch((error) => failed(entry.target, error));
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll("figure[data-chart]").forEach((figure) => seen.observe(figure));

  const links = [...document.querySelectorAll("nav a[href^='#']")];
  const sections = links.map((link) => document.querySelector(link.hash)?.closest("section")).filter(Boolean);
  function mark() {
    const at = sections.filter((section) => section.getBoundingClientRect().top < 140).pop() || sections[0];
    for (const link of links) {
      const here = at && at.contains(document.querySelector(link.hash));
      if (here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  document.addEventListener("scroll", mark, { passive: true });
  mark();

  const buttons = [...document.querySelectorAll("button[data-show]")];
  function show(what) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === what));
    let shown = 0;
    document.querySelectorAll("article.card").forEach((card) => {
      card.hidden = !(what === "all" || card.dataset.category === what
        || (what === "flagged" && "flagged" in card.dataset));
      shown += card.hidden ? 0 : 1;
    });
    const told = document.getElementById("shown");
    if (told) told.textContent = `${shown} shown`;
  }
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.show));
  // A link to a card that is hidden shows all cards again.
  window.addEventListener("hashchange", () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.hidden) {
      show("all");
      target.scrollIntoView();
    }
  });
})();
