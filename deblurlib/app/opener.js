// The photo is chosen, dropped, pasted or taken here, and uploaded. `element`, `props`, `trigger`
// and `upload` are given by Gradio.
const told = element.querySelector(".told");
const chooser = element.querySelector(".choose input");
const camera = element.querySelector(".camera");
const drop = element.querySelector(".drop");

async function take(file) {
  if (!file) return;
  if (file.size > props.limit) {
    told.textContent = `${file.name}: ${(file.size / 1e6).toFixed(1)} MB; a file may have ${props.limit / 1e6} MB at most.`;
    return;
  }
  told.textContent = `Uploading ${file.name} …`;
  try {
    const {path} = await upload(file);
    told.textContent = "";
    props.value = {path, at: Date.now()};
    trigger("upload");
  } catch (error) {
    told.textContent = `${file.name} could not be uploaded: ${error.message || error}`;
  }
}

chooser.addEventListener("change", () => { take(chooser.files[0]); chooser.value = ""; });
element.querySelector(".phone input").addEventListener("change", (event) => take(event.target.files[0]));
document.addEventListener("paste", (event) => {
  const item = [...event.clipboardData.items].find((one) => one.kind === "file");
  if (item) take(item.getAsFile());
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}

// A phone has a camera program of its own, which takes better pictures than a page can.
camera.addEventListener("click", async () => {
  if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices) {
    element.querySelector(".phone input").click();
    return;
  }
  const dialog = element.querySelector("dialog");
  const video = dialog.querySelector("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: {width: 4096, height: 4096}});
  } catch (error) {
    told.textContent = "There is no camera here, or the page may not use it.";
    return;
  }
  dialog.showModal();
  video.play();
});
const dialog = element.querySelector("dialog");
dialog.querySelector(".shoot").addEventListener("click", () => {
  const video = dialog.querySelector("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take(new File([blob], "camera.png", {type: "image/png"})), "image/png");
  dialog.close();
});
dialog.querySelector(".leave").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  const video = dialog.querySelector("video");
  if (video.srcObject) video.srcObject.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
});
