// A colour for each name, on the whole page: the first dozen names have a dozen colours.

const COLOURS = 12; // of the style
const given = new Map(); // name → its colour

// Returns the number of a name's colour. The same name has the same colour in every client, and mostly in every browser:
// what its letters say, unless another name has that already.
export function colour(name) {
  const known = given.get(name);
  if (known !== undefined) return known;
  const wanted = fromLetters(name);
  if (given.size === COLOURS) return wanted; // colours repeat now, and no name is kept
  const taken = new Set(given.values());
  let free = wanted;
  while (taken.has(free)) free = (free + 1) % COLOURS;
  given.set(name, free);
  return free;
}

function fromLetters(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 65_521;
  return sum % COLOURS;
}
