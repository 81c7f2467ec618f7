// What the device of a visitor is: told to the page at once, and again whenever it changes (a larger window, a mouse, a key).
// Nothing is kept or sent elsewhere.

const matches = (query) => matchMedia(query).matches;
const isPhone = () => navigator.userAgentData?.mobile === true || /iPhone|iPod|Android.*Mobile|Windows Phone/.test(navigator.userAgent);

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".device-root");
  root.tell = (values) => setStateValue("device", values);
  root.report ??= () => {
    if (!root.isConnected || (data.refresh && !root.refresh)) return;
    const values = { width: innerWidth, height: innerHeight, phone: isPhone(), mouse: matches("(any-pointer: fine)"), touch: matches("(any-pointer: coarse)"),
      keyboard: Boolean(root.keyboard), refresh: root.refresh ?? 0 };
    const told = JSON.stringify(values);
    if (told !== root.told) { root.told = told; root.tell(values); }
  };
  if (!root.listens) {
    root.listens = true;
    let later;
    const soon = () => { clearTimeout(later); later = setTimeout(root.report, 250); };
    const measure = () => refreshInterval().then((interval) => { root.refresh = Math.round(10000 / interval) / 10; root.report(); });
    window.addEventListener("resize", soon);
    for (const query of ["(any-pointer: fine)", "(any-pointer: coarse)"]) matchMedia(query).addEventListener("change", soon);
    window.addEventListener("keydown", () => { root.keyboard = true; root.report(); }, true);
    if (data.refresh) {
      measure();
      document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible" && root.isConnected) measure(); });
    }
  }
  root.report();
}
