// A visit of the pages by which people sign in to programs: Swagger UI in its own window, a program that asks for consent, a device, and
// the page that ends each of them. The pages of Identity are checked by axe in light and in dark.
//
// node sign_in.mjs CHROMIUM BACKEND IDENTITY [DIRECTORY_FOR_SCREENSHOTS]
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, backend, identity, screenshots] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const context = await browser.newContext();
context.setDefaultTimeout(30_000);
const page = await context.newPage();

// Checks the page of Identity as it is shown, and that it says what it should.
async function check(page, name, text) {
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

async function submit(page, button, fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: button, exact: true }).click();
}

// Swagger UI: one click to the window of Identity, which closes itself.
async function swagger() {
  await page.goto(`${backend}/index.html`);
  await page.locator(".auth-wrapper .authorize").click();
  const dialog = page.locator(".dialog-ux .auth-container").filter({ hasText: "authorizationCode" });
  const opened = context.waitForEvent("page");
  await dialog.locator("button.authorize").click();
  const window = await opened;
  await window.getByLabel("User name").waitFor();
  await check(window, "sign-in-of-swagger", "Sign in");
  const closed = window.waitForEvent("close");
  await submit(window, "Sign in", { "User name": "ann", "Password": "seven-green-herons" });
  await closed;
  await dialog.getByText("Logout").waitFor();
  await page.locator(".dialog-ux .close-modal").click();
  await page.locator("#operations-Tasks-listTasks").click();
  await page.locator("#operations-Tasks-listTasks").getByRole("button", { name: "Execute" }).click();
  const answer = page.locator("#operations-Tasks-listTasks .live-responses-table tr.response");
  await answer.locator(".response-col_status").getByText("200").waitFor();
  if (screenshots) await page.screenshot({ path: `${screenshots}/swagger.png` });
}

// A program of somebody else, which must be allowed.
async function consent() {
  const verifier = "a-verifier-of-more-than-forty-three-characters";
  const request = new URLSearchParams({
    client_id: "app",
    redirect_uri: "http://127.0.0.1:1/callback",
    response_type: "code",
    scope: "openid profile offline_access TaskerWebAPI",
    state: "s",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  await page.goto(`${identity}/connect/authorize?${request}`);
  await check(page, "consent", "Stay signed in until you end it");
  // Nothing listens there; what counts is that the browser may go there.
  const leaving = page.waitForRequest((request) => request.url().startsWith("http://127.0.0.1:1/callback?"));
  await submit(page, "Allow", {});
  const { searchParams } = new URL((await leaving).url());
  const form = { grant_type: "authorization_code", client_id: "app", redirect_uri: "http://127.0.0.1:1/callback" };
  const body = new URLSearchParams({ ...form, code: searchParams.get("code"), code_verifier: verifier });
  const answer = await fetch(`${identity}/connect/token`, { method: "POST", body });
  assert.equal(answer.status, 200, await answer.clone().text());
}

async function device() {
  const body = new URLSearchParams({ client_id: "tasker-cli", scope: "openid TaskerWebAPI" });
  const codes = await (await fetch(`${identity}/connect/deviceauthorization`, { method: "POST", body })).json();
  await page.goto(codes.verification_uri);
  await submit(page, "Go on", { "Code": "BCDF-GHJK" });
  await check(page, "device-error", "No device waits with this code");
  await submit(page, "Go on", { "Code": codes.user_code });
  await check(page, "device", "Allow Tasker command line?");
  await submit(page, "Allow", {});
  await check(page, "device-allowed", "The device is allowed.");
}

async function account() {
  await page.getByRole("link", { name: "Browsers and programs that are signed in" }).click();
  await page.setViewportSize({ width: 320, height: 800 });
  await check(page, "account-narrow", "This browser");
  const overflow = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
  assert.equal(overflow, false, "the page fits 320 pixels");
  await page.setViewportSize({ width: 1280, height: 800 });
  await check(page, "account", "The app");
  await page.getByRole("button", { name: "Sign out The app" }).click();
  await check(page, "account-ended", "The program is signed out.");
  await page.goto(`${identity}/connect/endsession`);
  await check(page, "end-session", "You are signed in as ann.");
  await submit(page, "Sign out", {});
  await check(page, "ended", "You are signed out.");
}

try {
  await page.goto(`${identity}/Auth/Register`);
  const password = "seven-green-herons";
  await submit(page, "Create account", { "User name": "ann", "Password": password, "The same password again": password });
  await swagger();
  await consent();
  await device();
  await account();
  console.log("browser: signing in to programs passed");
} finally {
  await browser.close();
}
