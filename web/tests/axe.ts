import axe from "axe-core";

/** Every violation of WCAG 2.2 A and AA in an element, readable. Contrast needs real pixels: the browser tests look at it. */
export async function violations(element: Element): Promise<string[]> {
  const result = await axe.run(element, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
  });
  return result.violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`);
}
