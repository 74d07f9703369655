//! Forms with files: `multipart/form-data` (RFC 7578).

use bytes::{BufMut, Bytes, BytesMut};

/// A form. Its body is made once, so that a call can be repeated without reading the file again.
#[derive(Debug, Clone)]
pub struct Form {
    boundary: String,
    body: BytesMut,
}

impl Default for Form {
    fn default() -> Self {
        Form::new()
    }
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Form { boundary: format!("vconductor-{:032x}", fastrand::u128(..)), body: BytesMut::new() }
    }

    /// Adds a plain field.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{}\"", quoted(name)), None, value.as_bytes());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, filename: &str, mediatype: &str, bytes: &Bytes) -> Self {
        self.body.reserve(bytes.len() + 512);
        let disposition = format!("name=\"{}\"; filename=\"{}\"", quoted(name), quoted(filename));
        self.part(&disposition, Some(mediatype), bytes);
        self
    }

    /// Media type and body of the request.
    pub fn finish(mut self) -> (String, Bytes) {
        self.body.put_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (format!("multipart/form-data; boundary={}", self.boundary), self.body.freeze())
    }

    fn part(&mut self, disposition: &str, mediatype: Option<&str>, content: &[u8]) {
        let mut head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n", self.boundary);
        if let Some(mediatype) = mediatype {
            let mediatype: String = mediatype.chars().filter(char::is_ascii_graphic).collect();
            head.push_str(&format!("Content-Type: {mediatype}\r\n"));
        }
        head.push_str("\r\n");
        self.body.put_slice(head.as_bytes());
        self.body.put_slice(content);
        self.body.put_slice(b"\r\n");
    }
}

/// Without what would end the name: it may come out of a vCon.
fn quoted(name: &str) -> String {
    let quoted: String = name
        .chars()
        .map(|character| if character.is_control() || matches!(character, '"' | '\\') { '_' } else { character })
        .collect();
    quoted.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_servers_read_it() {
        let form = Form::new().text("model", "whisper-1");
        let form = form.file("file", "a\"\r\nX: y.wav", "audio/wav\r\nEvil: 1", &Bytes::from_static(b"RIFF\r\n"));
        let boundary = form.boundary.clone();
        let (mediatype, body) = form.finish();
        assert_eq!(mediatype, format!("multipart/form-data; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a___X: y.wav\"\r\n\
             Content-Type: audio/wavEvil:1\r\n\r\nRIFF\r\n\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
        assert_ne!(Form::new().boundary, boundary);
    }
}
