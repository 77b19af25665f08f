import { forward } from "./forward.mjs";
const answers = [];
for (const event of JSON.parse(process.env.EVENTS)) answers.push((await forward(event).catch(() => "thrown")) ?? null);
console.log(JSON.stringify(answers)); process.exit();
