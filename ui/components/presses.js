// What is pressed, heard before anybody else on the page can stop it: Streamlit's dialog on a lost connection swallows clicks.

const pressed = new WeakMap();
const pointers = { last: "mouse" };

window.addEventListener("pointerdown", (event) => { pointers.last = event.pointerType || "mouse"; pointers.stamp = event.timeStamp; }, true);
window.addEventListener("click", (event) => {
  const control = event.target.closest?.("button");
  if (control && !control.disabled) pressed.get(control)?.(event);
}, true);

const onPress = (control, heard) => pressed.set(control, heard);

function deviceOf(event) {
  if (event.type.startsWith("key") || (event.type === "click" && event.detail === 0)) return "keyboard";
  return event.pointerType || pointers.last;
}

// When the press began: a click is only sent when it ends.
const beganAt = (event) => (event.type === "click" && event.detail > 0 ? pointers.stamp ?? event.timeStamp : event.timeStamp);
