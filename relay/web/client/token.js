// The key or token of now, as an application tells it.

const TIMEOUT = 20_000; // ms

/** Promises what an application's function returns or promises; "" where there is no function. */
export function freshToken(token) {
  let timer = 0;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it took too long")), TIMEOUT);
  });
  return Promise.race([asked(token), late]).finally(() => clearTimeout(timer));
}

async function asked(token) {
  return token?.() ?? "";
}
