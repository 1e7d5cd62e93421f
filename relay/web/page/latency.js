// Round trips of the last messages: their figures, and a small chart.

const SAMPLES = 120;
const WIDTH = 240;
const HEIGHT = 40;
const STEPS = [1, 2, 5];

export class Latency {
  #chart;
  #line;
  #last;
  #scale;
  #caption;
  #median;
  #samples = [];
  #changed = true;

  // parts: { chart, scale, caption, median }: an empty <svg>, and where the chart's height and the figures are written.
  constructor({ chart, scale, caption, median }) {
    this.#chart = chart;
    this.#scale = scale;
    this.#caption = caption;
    this.#median = median;
    chart.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    chart.setAttribute("preserveAspectRatio", "none");
    this.#line = shape(chart, "polyline");
    this.#last = shape(chart, "path");
  }

  // Take the round trip of one message, in milliseconds.
  add(milliseconds) {
    this.#changed = true;
    this.#samples.push(milliseconds);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  clear() {
    this.#changed = true;
    this.#samples = [];
  }

  // Show what has been taken since the last time, if anything.
  draw() {
    if (!this.#changed) return;
    this.#changed = false;
    const samples = this.#samples;
    this.#chart.classList.toggle("idle", samples.length === 0);
    if (samples.length === 0) {
      this.#line.setAttribute("points", "");
      this.#last.setAttribute("d", "");
      this.#scale.textContent = "";
      this.#caption.textContent = "\u2013";
      this.#median.textContent = "";
      return;
    }
    const top = roundUp(Math.max(...samples));
    const points = samples.map((value, index) => {
      const x = WIDTH - ((samples.length - 1 - index) * WIDTH) / (SAMPLES - 1);
      return `${x.toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`;
    });
    this.#line.setAttribute("points", points.join(" "));
    this.#last.setAttribute("d", `M${points.at(-1)}h0`);
    this.#scale.textContent = written(top);
    const median = written([...samples].sort((a, b) => a - b)[samples.length >> 1]);
    this.#caption.textContent = written(samples.at(-1));
    this.#median.textContent = `, median ${median}`;
    this.#chart.setAttribute("aria-label", `Round trips of the last ${samples.length} messages, up to ${written(top)}`);
  }
}

function shape(chart, name) {
  return chart.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
}

// Returns the next of 1, 2, 5, 10, 20 ...
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.1)));
  return power * (STEPS.find((step) => step * power >= value) ?? 10);
}

function written(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 9.95 ? Number(milliseconds.toFixed(1)) : Math.round(milliseconds)} ms`;
}
