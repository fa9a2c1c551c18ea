#version 330
in vec3 in_place;
in vec3 in_normal;
in vec3 in_colour;
out vec3 place;
out vec3 normal;
out vec3 colour;
out vec4 from_lamp;
uniform float stays;
//include place
void main() {
    place = turned(in_place, stays);
    normal = turned_normal(in_normal, stays);
    colour = in_colour;
    from_lamp = lamp_view * vec4(place, 1.0);
    gl_Position = camera * vec4(place, 1.0);
}
