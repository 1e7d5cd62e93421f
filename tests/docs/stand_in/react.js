// As much of React as docs/examples/use-channel.js needs: one component, which renders again when its state changes.

let component = () => {};
let slots = [];
let next = 0;

function slot(make) {
  if (next === slots.length) slots.push(make());
  return slots[next++];
}

export function render(another = component) {
  component = another;
  next = 0;
  component();
}

export const useRef = (current) => slot(() => ({ current }));

export function useState(value) {
  const held = slot(() => ({ value }));
  const set = (newest) => {
    held.value = newest;
    render();
  };
  return [held.value, set];
}

export function useEffect(effect, inputs) {
  const held = slot(() => ({ inputs: null, clean: null }));
  if (inputs && held.inputs?.every((input, index) => Object.is(input, inputs[index]))) return;
  held.inputs = inputs;
  queueMicrotask(() => {
    held.clean?.();
    held.clean = effect();
  });
}
