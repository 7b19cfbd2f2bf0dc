// The photo, with a frame around the detail that is previewed, and a box that is drawn around a
// point of light. All places are pixels of the photo itself. `element`, `props`, `trigger` and
// `watch` are given by Gradio.
const view = element.querySelector(".view");
const image = element.querySelector("img");
const frame = element.querySelector(".frame");
const box = element.querySelector(".box");

function lay(part, left, top, width, height) {
  const {size} = props.value;
  part.style.left = 100 * left / size[0] + "%";
  part.style.top = 100 * top / size[1] + "%";
  part.style.width = 100 * width / size[0] + "%";
  part.style.height = 100 * height / size[1] + "%";
}

function show() {
  const value = props.value;
  element.querySelector(".picker").hidden = !value;
  if (!value) return;
  if (image.getAttribute("src") !== value.url) image.src = value.url;
  image.alt = value.alt;
  const side = props.detail;
  lay(frame, value.place[0] - side / 2, value.place[1] - side / 2, side, side);
  box.hidden = !value.box;
  if (value.box) lay(box, value.box[0], value.box[1], value.box[2] - value.box[0], value.box[3] - value.box[1]);
}

function change(more) {
  props.value = {...props.value, ...more};
  show();
  trigger("input");
}

function within(x, y) {
  const [width, height] = props.value.size;
  return [Math.min(Math.max(Math.round(x), 0), width - 1), Math.min(Math.max(Math.round(y), 0), height - 1)];
}

function placeOf(event) {
  const {left, top, width, height} = view.getBoundingClientRect();
  const [across, down] = props.value.size;
  return within((event.clientX - left) / width * across, (event.clientY - top) / height * down);
}

let from = null;
view.addEventListener("pointerdown", (event) => {
  from = placeOf(event);
  view.setPointerCapture(event.pointerId);
});
view.addEventListener("pointermove", (event) => {
  if (!from) return;
  const to = placeOf(event);
  box.hidden = false;
  lay(box, Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]));
});
view.addEventListener("pointerup", (event) => {
  if (!from) return;
  const to = placeOf(event);
  const [across, down] = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
  const shown = view.getBoundingClientRect().width / props.value.size[0];
  if (Math.max(across, down) * shown < 5) change({place: to}); // a click
  else change({box: [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]});
  from = null;
});
view.addEventListener("pointercancel", () => { from = null; show(); });
view.addEventListener("keydown", (event) => {
  const step = props.detail / (event.shiftKey ? 1 : 8);
  const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  const [x, y] = props.value.place;
  if (way) change({place: within(x + way[0] * step, y + way[1] * step)});
  else if (event.key === "Enter") {
    const half = props.detail / 2;
    change({box: [...within(x - half, y - half), ...within(x + half, y + half)]});
  } else return;
  event.preventDefault();
});
watch("value", show);
show();
