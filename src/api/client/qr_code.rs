//! Texts as pictures that a phone can read.

use qrcode::types::{Color, QrError};
use qrcode::{EcLevel, QrCode};

/// Pixels on each side of a picture, as OpenZiti's clients expect.
const SIDE: usize = 256;
/// Light modules around the code, which readers need.
const QUIET_ZONE: usize = 4;

/// Why a text has no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDrawn {
    /// It is too long.
    #[error("the text does not fit: {0}")]
    Text(#[from] QrError),
    /// A module would be smaller than a pixel.
    #[error("the code needs more than {SIDE} pixels on each side")]
    TooFine,
    /// The picture could not be written.
    #[error("the picture could not be written: {0}")]
    Picture(#[from] png::EncodingError),
}

/// A QR code as PNG in shades of grey.
pub(super) fn png(text: &str) -> Result<Vec<u8>, NotDrawn> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    let modules = code.width();
    let scale = SIDE / (modules + 2 * QUIET_ZONE);
    if scale == 0 {
        return Err(NotDrawn::TooFine);
    }
    let margin = (SIDE - modules * scale) / 2;
    let dark = |x: usize, y: usize| {
        let module = |at: usize| at.checked_sub(margin).map(|at| at / scale).filter(|at| *at < modules);
        module(x).zip(module(y)).is_some_and(|place| code[place] == Color::Dark)
    };
    let pixels: Vec<u8> = (0..SIDE * SIDE).map(|at| if dark(at % SIDE, at / SIDE) { 0 } else { 255 }).collect();

    let mut file = Vec::new();
    let side = u32::try_from(SIDE).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_size_and_room_around_the_code() {
        let file = png("otpauth://totp/laptop?issuer=gate.example&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (256, 256));
        assert!(pixels[..256 * 8].iter().all(|pixel| *pixel == 255));
        assert!(pixels.contains(&0));
    }

    #[test]
    fn a_text_that_does_not_fit_is_an_error() {
        assert!(png(&"x".repeat(5000)).is_err());
    }
}
