// One person's browser, without script: reads steps, a line of JSON each, and tells after each where that led.
//
// A step is {open: URL}, {fill: {NAME: TEXT}}, {press: TEXT of a link or button} or {forget: true}, which takes all cookies
// away. Told is {url, status, text}: of the page that is open then; `status` is of its last answer.
import readline from 'node:readline';
import puppeteer from 'puppeteer-core';

const HERE_ALONE = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1';
const browser = await puppeteer.launch({ executablePath: process.argv[2], args: ['--no-sandbox', '--disable-gpu', HERE_ALONE] });
const page = await browser.newPage();
page.setDefaultTimeout(60_000);
await page.setJavaScriptEnabled(false);
let status = 0;

async function press(text) {
  const all = await page.$$('a[href], button');
  for (const each of all) {
    if ((await each.evaluate((e) => e.textContent.trim())) === text) {
      const [answer] = await Promise.all([page.waitForNavigation(), each.click()]);
      return answer.status();
    }
  }
  throw new Error(`nothing here is called ${text}`);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  try {
    if (step.open) status = (await page.goto(step.open)).status();
    for (const [name, text] of Object.entries(step.fill ?? {})) {
      await page.$eval(`[name="${name}"]`, (e) => { e.value = ''; });
      await page.type(`[name="${name}"]`, text);
    }
    if (step.press) status = await press(step.press);
    if (step.forget) await browser.deleteCookie(...(await browser.cookies()));
    const text = await page.evaluate(() => document.body.innerText);
    process.stdout.write(`${JSON.stringify({ url: page.url(), status, text })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ url: page.url(), status, text: '', error: String(error) })}\n`);
  }
}
await browser.close();
