// Two pictures side by side become one over the other, with a line to move between them. The line is
// an input that keys reach; a pointer moves it from anywhere on the picture.
document.querySelectorAll(".slider").forEach(function (slider) {
  const line = document.createElement("input");
  Object.assign(line, { type: "range", min: 0, max: 100, value: 50 });
  line.setAttribute("aria-label", "the line between blurred and restored, percent of the width");

  function show() {
    slider.style.setProperty("--at", line.value + "%");
  }

  function follow(event) {
    const box = slider.getBoundingClientRect();
    line.value = 100 * (event.clientX - box.left) / box.width;
    show();
  }

  slider.addEventListener("pointerdown", function (event) {
    if (event.button !== 0) return;
    event.preventDefault(); // no picture is dragged along, no text selected
    line.focus({ preventScroll: true, focusVisible: false });
    slider.setPointerCapture(event.pointerId);
    follow(event);
  });
  slider.addEventListener("pointermove", function (event) {
    if (slider.hasPointerCapture(event.pointerId)) follow(event);
  });
  line.addEventListener("input", show);
  slider.append(line);
  slider.classList.add("live");
  show(); // a browser may remember where it was
});
