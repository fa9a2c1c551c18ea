// A canvas that knows its size: measured only when it changes, never while drawing.

const watcher = new ResizeObserver((entries) => {
  for (const entry of entries) entry.target.surface?.resized(entry.contentRect);
});

export class Surface {
  /** @param {HTMLCanvasElement} canvas  @param {() => void} redraw  called after a change of size */
  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.redraw = redraw;
    this.width = 0;
    this.height = 0;
    canvas.surface = this;
    watcher.observe(canvas);
  }

  resized({ width, height }) {
    this.width = width;
    this.height = height;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (width && height) this.redraw();
  }

  /** Whether there is anything to draw on (not on a page that is not shown). */
  get visible() {
    return this.width > 0 && this.height > 0;
  }

  clear(colour) {
    this.context.fillStyle = colour;
    this.context.fillRect(0, 0, this.width, this.height);
  }
}
