// A visit of the account pages: register by the setup link, sign in, invite, change the password, sign out. The pages run no scripts.
// Each page is checked by axe in light and in dark.
//
// node pages.mjs CHROMIUM SETUP_LINK [DIRECTORY_FOR_SCREENSHOTS]
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, setupLink, screenshots] = process.argv.slice(2);
const { host, hostname, origin } = new URL(setupLink);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", `--host-resolver-rules=MAP ${hostname} 127.0.0.1`],
});
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
const posted = [];
page.on("request", (request) => request.method() === "POST" && posted.push(request));

// Checks the page as it is shown, and that it says what it should.
async function check(name, text) {
  const shown = await page.locator("main").innerText();
  assert.ok(shown.includes(text), `${name}: "${text}" is not in "${shown}" (${page.url()})`);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(`${axe}; axe.run()`);
    const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
    assert.deepEqual(found, [], `${name}, ${colorScheme}`);
    if (screenshots) await page.screenshot({ path: `${screenshots}/${name}-${colorScheme}.png`, fullPage: true });
  }
}

async function submit(button, fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: button }).click();
}

const [password, other] = ["seven-green-herons", "nine-blue-kettles"];
const twice = (password) => ({ "Password": password, "The same password again": password });

try {
  await page.goto(setupLink);
  assert.equal(await page.evaluate("isSecureContext"), false, "otherwise this shows nothing about plain HTTP");
  await check("register", "This link creates the first administrator");
  await submit("Create account", { "User name": "a name", ...twice("short") });
  await check("register-errors", "A password must have at least");
  await submit("Create account", { "User name": "root", ...twice(password) });
  await check("registered", "The account root is created.");
  assert.equal(await page.getByLabel("User name").inputValue(), "root");
  await submit("Sign in", { "Password": "a guess" });
  await check("login-error", "The user name or the password is wrong");
  await submit("Sign in", { "Password": password });
  await check("home", "Hello, root");
  await submit("Create a link", {});
  await check("invitation", "It is shown only now");
  await page.goto(await page.getByLabel("A link that registers").inputValue());
  await check("invited", "You are invited as User.");
  await page.goto(origin);
  await page.getByRole("link", { name: "Change the password" }).click();
  await check("password", "Current password");
  await submit("Change the password", { "Current password": password, "New password": other, "The same password again": "x" });
  await check("password-error", "The two passwords differ.");
  await submit("Change the password", { "Current password": password, "New password": other, "The same password again": other });
  await check("password-changed", "The password is changed.");
  await submit("Sign out", {});
  await check("signed-out", "You are signed out.");
  await page.goto(`${origin}/nothing`);
  await check("not-found", "There is no such page.");
  await page.goto(`${origin}/errors`);
  await check("problem-types", "Types of problems");
  await page.getByRole("link", { name: "rate-limited" }).click();
  await check("problem-type", "Too many attempts");

  for (const request of posted) {
    const headers = await request.allHeaders();
    assert.equal(headers["sec-fetch-site"], undefined, "browsers send it to trustworthy hosts only");
    assert.equal(headers.origin, origin, request.url());
  }
  assert.ok(posted.length >= 8, `${posted.length} forms were sent`);
  console.log(`browser: ${host}: all pages passed`);
} finally {
  await browser.close();
}
