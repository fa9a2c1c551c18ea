#version 330
in vec2 uv;
out vec4 seen;
uniform sampler2D backdrop;
void main() { seen = vec4(texture(backdrop, vec2(uv.x, 1.0 - uv.y)).rgb, 1.0); }
