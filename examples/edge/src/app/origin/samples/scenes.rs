//! The sample pictures: their shapes and colors.

use super::canvas::{Canvas, hsl, rgba};
use jiff::Timestamp;
use pictures::Picture;

/// Birds over hills at dusk.
pub(super) fn birds() -> Picture {
    let mut canvas = Canvas::new(1200, 800);
    let (width, height) = (canvas.width(), canvas.height());
    let sky = [0x2B_3A_67_FF, 0x8E_5A_8C_FF, 0xF0_8A_5D_FF, 0xFF_D1_8C_FF].map(rgba);
    canvas.gradient(0.0, height, &sky);
    let sun = (820.0, 520.0);
    canvas.glow(sun, 380.0, &[0xFF_F1_C4_D0, 0xFF_D8_90_50, 0xFF_D8_90_00].map(rgba));
    canvas.disc(sun, 86.0, rgba(0xFF_F4_D6_FF));
    canvas.ground(
        |x| 590.0 + 46.0 * (x / 170.0).sin() + 18.0 * (x / 61.0).sin(),
        rgba(0x6D_4B_73_FF),
    );
    canvas.ground(|x| 660.0 + 38.0 * (x / 230.0 + 2.0).sin(), rgba(0x46_37_5C_FF));
    canvas.ground(|x| 735.0 + 16.0 * (x / 90.0 + 1.0).cos(), rgba(0x24_20_3A_FF));
    for (x, y, span) in [
        (300.0, 210.0, 70.0),
        (430.0, 290.0, 54.0),
        (210.0, 330.0, 46.0),
        (560.0, 190.0, 40.0),
        (395.0, 400.0, 36.0),
        (660.0, 330.0, 30.0),
    ] {
        bird(&mut canvas, (x, y), span);
    }
    sign(&mut canvas, "sample.li/birds.jpg", (width / 2.0, height - 40.0));
    canvas.into_picture()
}

fn bird(canvas: &mut Canvas, (x, y): (f32, f32), span: f32) {
    let color = rgba(0x1C_1B_2E_FF);
    let (dip, lift) = (span * 0.16, span * 0.62);
    canvas.bow([(x - span, y), (x - span * 0.5, y - lift), (x, y + dip)], span * 0.11, color);
    canvas.bow([(x, y + dip), (x + span * 0.5, y - lift), (x + span, y)], span * 0.11, color);
}

/// A sailing boat at noon.
pub(super) fn boat() -> Picture {
    let mut canvas = Canvas::new(1200, 800);
    let (width, height) = (canvas.width(), canvas.height());
    canvas.gradient(0.0, 480.0, &[0x3F_9B_DC_FF, 0xA6_DB_F5_FF, 0xEA_F7_FB_FF].map(rgba));
    canvas.glow((250.0, 150.0), 260.0, &[0xFF_FD_E8_F0, 0xFF_F6_C0_60, 0xFF_F6_C0_00].map(rgba));
    canvas.disc((250.0, 150.0), 60.0, rgba(0xFF_FB_E0_FF));
    for (x, y, size) in [(820.0, 150.0, 1.0), (1040.0, 240.0, 0.7), (520.0, 110.0, 0.6)] {
        cloud(&mut canvas, (x, y), size);
    }
    canvas.gradient(480.0, height, &[0x2A_8F_BD_FF, 0x0B_4F_7D_FF, 0x06_2F_52_FF].map(rgba));
    canvas.ground(|x| 560.0 + 9.0 * (x / 46.0).sin(), rgba(0x14_6F_A3_B0));
    sails(&mut canvas);
    canvas.ground(|x| 622.0 + 11.0 * (x / 58.0 + 1.0).sin(), rgba(0x0D_5A_8B_C8));
    canvas.ground(|x| 700.0 + 13.0 * (x / 71.0 + 2.0).sin(), rgba(0x08_42_6C_E0));
    sign(&mut canvas, "sample.li/boat.jpg", (width / 2.0, height - 40.0));
    canvas.into_picture()
}

fn cloud(canvas: &mut Canvas, (x, y): (f32, f32), size: f32) {
    let white = rgba(0xFF_FF_FF_E0);
    canvas.oval((x, y), (110.0 * size, 34.0 * size), white);
    canvas.oval((x - 40.0 * size, y - 24.0 * size), (58.0 * size, 40.0 * size), white);
    canvas.oval((x + 34.0 * size, y - 34.0 * size), (66.0 * size, 48.0 * size), white);
}

fn sails(canvas: &mut Canvas) {
    canvas.polygon(
        &[(694.0, 180.0), (703.0, 180.0), (703.0, 590.0), (694.0, 590.0)],
        rgba(0x5B_3A_21_FF),
    );
    canvas.polygon(&[(688.0, 200.0), (688.0, 556.0), (500.0, 556.0)], rgba(0xFD_FB_F3_FF));
    canvas.polygon(&[(710.0, 232.0), (710.0, 556.0), (850.0, 556.0)], rgba(0xE8_51_3D_FF));
    canvas.polygon(
        &[(470.0, 578.0), (900.0, 578.0), (840.0, 660.0), (540.0, 660.0)],
        rgba(0x7A_2E_1D_FF),
    );
    canvas.polygon(
        &[(470.0, 578.0), (900.0, 578.0), (890.0, 594.0), (482.0, 594.0)],
        rgba(0xF4_D3_8B_FF),
    );
}

/// A mark on a transparent ground.
pub(super) fn logo() -> Picture {
    let mut canvas = Canvas::new(640, 640);
    for (nth, hue) in [(0.0_f32, 200.0), (1.0, 320.0), (2.0, 80.0)] {
        let angle = nth * std::f32::consts::TAU / 3.0 - std::f32::consts::FRAC_PI_2;
        let center = (320.0 + 110.0 * angle.cos(), 270.0 + 110.0 * angle.sin());
        let mut color = hsl(hue, 0.75, 0.55);
        color.set_alpha(0.78);
        canvas.disc(center, 150.0, color);
    }
    canvas.text("sample.li", (320.0, 540.0), 7.0, rgba(0x22_2A_3A_FF));
    canvas.into_picture()
}

/// A face, in shades of one hue.
pub(super) fn avatar(name: &str, hue: f32) -> Picture {
    let mut canvas = Canvas::new(400, 400);
    let height = canvas.height();
    canvas.gradient(0.0, height, &[hsl(hue, 0.5, 0.78), hsl(hue, 0.55, 0.58)]);
    canvas.oval((200.0, 430.0), (150.0, 140.0), hsl(hue, 0.5, 0.32));
    canvas.oval((200.0, 160.0), (104.0, 112.0), hsl(hue, 0.4, 0.22));
    canvas.oval((200.0, 188.0), (82.0, 96.0), rgba(0xF3_CF_B3_FF));
    for x in [168.0, 232.0] {
        canvas.disc((x, 178.0), 9.0, rgba(0x2B_22_33_FF));
    }
    canvas.bow([(168.0, 226.0), (200.0, 256.0), (232.0, 226.0)], 7.0, rgba(0xA3_3B_3B_FF));
    canvas.text(name, (200.0, 350.0), 4.0, rgba(0xFF_FF_FF_FF));
    canvas.into_picture()
}

/// The time. Its color changes from one drawing to the next, so that a new picture is seen at a
/// glance.
pub(super) fn now(time: Timestamp, count: u64) -> Picture {
    let mut canvas = Canvas::new(960, 540);
    let (width, height) = (canvas.width(), canvas.height());
    // The golden angle: neighbors differ, and no color returns soon.
    let hue = f32::from(u16::try_from(count % 1000).unwrap_or_default()) * 137.508 % 360.0;
    canvas.gradient(0.0, height, &[hsl(hue, 0.55, 0.34), hsl(hue + 40.0, 0.6, 0.2)]);
    canvas.glow((width / 2.0, 230.0), 420.0, &[rgba(0xFF_FF_FF_38), rgba(0xFF_FF_FF_00)]);

    let text = format!("{time:.3}");
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
    canvas.text("fetched from the origin at", (width / 2.0, 80.0), 3.0, rgba(0xFF_FF_FF_C8));
    canvas.text(clock, (width / 2.0, 180.0), 9.0, rgba(0xFF_FF_FF_FF));
    canvas.text(&format!("{date} UTC"), (width / 2.0, 300.0), 5.0, rgba(0xFF_FF_FF_E6));
    canvas.text(&format!("drawing no. {count}"), (width / 2.0, 400.0), 4.0, rgba(0xFF_FF_FF_C8));
    sign(&mut canvas, "sample.li/now.png", (width / 2.0, height - 40.0));
    canvas.into_picture()
}

fn sign(canvas: &mut Canvas, name: &str, at: (f32, f32)) {
    canvas.text(name, at, 2.0, rgba(0xFF_FF_FF_A0));
}
