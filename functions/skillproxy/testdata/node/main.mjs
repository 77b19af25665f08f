import { forward } from "./forward.mjs";
const answers = [], began = performance.now();
for (const event of JSON.parse(process.env.EVENTS)) answers.push((await forward(event).catch(() => "thrown")) ?? null);
console.log(JSON.stringify({ answers, took: (performance.now() - began) / 1000 })); process.exit();
