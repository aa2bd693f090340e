"""Where the bytes of slides lie; whatever stores them is invisible above this part."""
