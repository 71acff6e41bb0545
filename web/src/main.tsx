import "./ui/fonts.css";
import "./ui/mantine.css";
import "./ui/tokens.css";

async function start(): Promise<void> {
  if (import.meta.env.MODE === "mock") {
    const { install } = await import("./mock/install");
    install();
  }
  const { mount } = await import("./app/mount");
  mount();
}

void start();
