// The drawn network: which node is chosen, and what its colour stands for.

const nodes = [...document.querySelectorAll("#map a")];
const scale = document.getElementById("scale");
const box = document.getElementById("map-scroll");

export function prepareMap() {
  const colour = document.getElementById("colour");
  colour.addEventListener("change", () => paint(colour.value));
  box.addEventListener("keydown", (event) => {
    const distance = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = distance && nodes[nodes.indexOf(event.target.closest("a")) + distance];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    revealNode(next);
  });
}

function paint(key) {
  for (const node of nodes) {
    node.dataset.grade = node.dataset[`${key}Grade`];
    node.querySelector(".value").textContent = node.dataset[`${key}Text`];
  }
  scale.dataset[key].split("|").forEach((label, i) => (scale.children[i].textContent = label));
}

export function markNode(value) {
  for (const node of nodes) {
    const chosen = node.dataset.value === value;
    if (chosen) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    node.setAttribute("tabindex", chosen ? 0 : -1);
    if (chosen) revealNode(node);
  }
}

function revealNode(node) {
  const rect = node.querySelector("rect");
  const top = Number(rect.getAttribute("y"));
  const left = Number(rect.getAttribute("x"));
  if (top < box.scrollTop + 20 || top > box.scrollTop + box.clientHeight - 50) {
    box.scrollTop = top - box.clientHeight / 2;
  }
  const width = Number(rect.getAttribute("width"));
  if (left < box.scrollLeft || left + width > box.scrollLeft + box.clientWidth) {
    box.scrollLeft = left + width / 2 - box.clientWidth / 2;
  }
}
